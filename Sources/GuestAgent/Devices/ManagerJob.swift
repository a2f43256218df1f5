// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// What a child of the device manager does.
enum ManagerTask: Equatable {
    /// Answers a program that asked; `client` is its socket.
    case answer(client: Int32)
    /// Makes one device what the rules want.
    case settle(BusID)
    /// Talks with an importer; the socket becomes a device's stream.
    case serve(stream: Int32)
    /// Waits until the kernel has let go of a device whose stream has ended.
    case awaitRelease(BusID)
    /// Attaches what the rules want.
    case sweep

    /// Microseconds after which the child is killed. It may sit in an uninterruptible wait for a device's lock; then it
    /// ends when the lock is free, and counts until it has.
    var timeLimit: UInt64 {
        switch self {
        case .answer, .settle: return 20_000_000
        case .serve: return 15_000_000
        case .awaitRelease: return 30_000_000
        case .sweep: return 60_000_000
        }
    }
}

/// A child at work.
final class ManagerJob {
    let pid: pid_t
    let task: ManagerTask
    let deadline: UInt64
    var isLate = false

    init(pid: pid_t, task: ManagerTask, deadline: UInt64) {
        self.pid = pid
        self.task = task
        self.deadline = deadline
    }
}

/// What a child tells the manager while it works.
enum ManagerReport: Equatable {
    /// A device is with `usbip-host`, because of a rule.
    case exported(BusID, rule: String)
    /// A user wants a device, named by its bus id, exported until it is unplugged.
    case wanted(rule: String)
    /// The kernel serves a device on a stream.
    case serving(stream: Int32, BusID)

    var bytes: [UInt8] {
        switch self {
        case .exported(let busID, let rule): return compose("exported \(busID.text) \(rule)").copyBytes()
        case .wanted(let rule): return compose("wanted \(rule)").copyBytes()
        case .serving(let stream, let busID): return compose("serving \(stream) \(busID.text)").copyBytes()
        }
    }

    /// - Returns: nil when the bytes are no report.
    init?(_ bytes: [UInt8]) {
        let words = String(bytes: bytes[...]).words
        switch words.first ?? "" {
        case "exported" where words.count == 3:
            guard let busID = BusID(words[1]) else { return nil }
            self = .exported(busID, rule: words[2])
        case "wanted" where words.count == 2: self = .wanted(rule: words[1])
        case "serving" where words.count == 3:
            guard let stream = number(words[1], in: 0...1_000_000), let busID = BusID(words[2]) else { return nil }
            self = .serving(stream: Int32(stream), busID)
        default: return nil
        }
    }

    static func == (left: ManagerReport, right: ManagerReport) -> Bool { left.bytes == right.bytes }
}

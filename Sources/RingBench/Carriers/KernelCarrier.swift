// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim

/// What the kernel has for the same purpose.
final class KernelCarrier: Carrier {
    enum Kind: String, CaseIterable {
        case unixStream = "AF_UNIX stream"
        case unixPackets = "AF_UNIX seqpacket"
        case pipe
        case messageQueue = "POSIX mq"
        case tcp = "TCP loopback"
    }

    private let kind: Kind
    var name: String { kind.rawValue }
    let sleeps = true

    init(_ kind: Kind) { self.kind = kind }

    func open(message: Int) throws -> CarrierChannel? {
        var pair: [Int32] = [-1, -1]
        switch kind {
        case .unixStream: try check(socketpair(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0, &pair))
        case .unixPackets: try check(cb_packet_pair(&pair))
        case .pipe:
            var ends: [Int32] = [-1, -1]
            try check(CShim.pipe(&ends))
            pair = [ends[1], ends[0]]
        case .messageQueue:
            // What a user who is not root may have.
            guard message <= 8192 else { return nil }
            let queue = cb_queue(message, 10)
            try check(queue)
            pair = [queue, queue]
        case .tcp:
            var (one, other): (Int32, Int32) = (-1, -1)
            try check(cb_tcp_pair(&one, &other))
            pair = [one, other]
        }
        return KernelChannel(kind, Descriptors(pair), from: 0, message: message)
    }

    private func check(_ result: Int32) throws {
        guard result >= 0 else { throw BenchError.system("open \(name)", "let this process use it") }
    }
}

/// Closed with the last use.
final class Descriptors {
    let numbers: [Int32]
    private let isOwner: Bool

    /// - Parameter isOwner: false where somebody else closes them.
    init(_ numbers: [Int32], isOwner: Bool = true) { (self.numbers, self.isOwner) = (numbers, isOwner) }
    deinit { if isOwner { Set(numbers).forEach { close($0) } } }
}

/// From one of two descriptors to the other.
struct KernelChannel: CarrierChannel {
    let kind: KernelCarrier.Kind
    let ends: Descriptors
    /// Which of the two is written to; the other is read.
    let source: Int
    let message: Int

    init(_ kind: KernelCarrier.Kind, _ ends: Descriptors, from source: Int, message: Int) {
        (self.kind, self.ends, self.source, self.message) = (kind, ends, source, message)
    }

    func send(_ bytes: UnsafeRawBufferPointer) throws {
        let end = ends.numbers[source]
        var done = 0
        while done < bytes.count, let base = bytes.baseAddress {
            let left = bytes.count - done
            let count =
                kind == .messageQueue
                ? (cb_queue_send(end, base, left) == 0 ? left : -1) : write(end, base + done, left)
            guard count > 0 else { throw failure("write to", count) }
            done += count
        }
    }

    func receive(_ bytes: UnsafeMutableRawBufferPointer) throws {
        let end = ends.numbers[1 - source]
        var done = 0
        while done < bytes.count, let base = bytes.baseAddress {
            let left = bytes.count - done
            let count = kind == .messageQueue ? cb_queue_receive(end, base, left) : read(end, base + done, left)
            guard count > 0 else { throw failure("read from", count) }
            done += count
        }
    }

    private func failure(_ what: String, _ count: Int) -> BenchError {
        // What a read that came to an end leaves in errno says nothing.
        count == 0
            ? BenchError(
                tried: "\(what) \(kind.rawValue)", happened: "the other end is closed",
                remedy: "read what the agents have said")
            : .system("\(what) \(kind.rawValue)", "try again")
    }
}

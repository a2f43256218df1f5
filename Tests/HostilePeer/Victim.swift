// SPDX-License-Identifier: Apache-2.0
import Foundation
import RingBuffer

/// The run cannot be what it should be: the message says why.
struct Failed: Error { let message: String }

/// Bounds how long the agent may take, which only tells a hang from an answer.
struct Patience {
    private let end = DispatchTime.now().uptimeNanoseconds + 60_000_000_000
    func check(_ what: @autoclosure () -> String) throws {
        if DispatchTime.now().uptimeNanoseconds > end { throw Failed(message: "the agent hangs: \(what())") }
    }
}

/// The agent under attack, side b of a link, as its peer sees it, and what it says of itself.
protocol Victim: AnyObject {
    /// The peer's section, which is written here, and the agent's.
    var own: UnsafeMutableRawPointer { get }
    var agents: UnsafeMutableRawPointer { get }
    /// Of each, in bytes.
    var sectionSize: Int { get }
    /// By which the agent rings this side.
    var doorbell: UInt32 { get }
    /// After the first rounds it is asked what it has found once in so many: a number that shares no divisor with that
    /// of the kinds of attack on the link, so that each is asked about.
    var roundsPerQuestion: Int { get }

    /// The eventfds by which the agent is woken, and wakes this side.
    var bells: (toAgent: Int32, toPeer: Int32) { get }

    /// - Throws: when it has ended, which nothing in this run asks it to.
    func checkAlive() throws
    /// - Throws: when a program of its guest was given bytes of another channel's ring.
    func checkPrograms() throws
    /// `ringway status --json`.
    func statusText() throws -> String
    /// Two answers: between them the agent has gone over everything once.
    func pass() throws
    /// Of its data path, in words.
    func residentMemory() -> String
    /// Lines of the log so far.
    func logLines() throws -> [Substring]
    /// A program of the attacked guest that connects to the agent; -1 where those are in the guest.
    func connect() -> Int32
}

extension Victim {
    func ring() {
        var one: UInt64 = 1
        _ = write(bells.toAgent, &one, 8)
    }

    /// Sleeps until the agent rings, or for a moment: it may have had no reason to.
    /// - Throws: when it has ended.
    func waitForBell() throws {
        var entry = pollfd(fd: bells.toPeer, events: Int16(POLLIN), revents: 0)
        var count: UInt64 = 0
        if poll(&entry, 1, 3) > 0 { _ = read(bells.toPeer, &count, 8) } else { try checkAlive() }
    }

    func status() throws -> [String: Any] {
        let text = try statusText()
        guard let found = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else {
            throw Failed(message: "no status: \(text)")
        }
        return found
    }

    /// Whether bytes went where none belong: behind the rings of the agent's section.
    func checkBounds() throws {
        let used = Attack.geometry.sectionSize
        let rest = agents + used
        // Each byte is as the next one, and the first is 0.
        guard rest.load(as: UInt8.self) == 0, memcmp(rest, rest + 1, sectionSize - used - 1) == 0 else {
            throw Failed(message: "the agent wrote behind its last ring")
        }
    }
}

/// What the run is made with.
enum Attack {
    static let geometry = SectionGeometry(channels: 16, ringCapacity: 16384, opensA: 8)!
}

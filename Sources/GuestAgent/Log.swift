// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// The agent's log: whole lines on stderr, for whatever collects a service's output.
///
/// Writing one never waits, since the data path must go on: a line that the reader has no room for is left out. Nor
/// can a peer that causes lines without end fill a disk. What was left out is counted in the next line.
enum Log {
    /// The file descriptor; tests have another.
    nonisolated(unsafe) static var descriptor: Int32 = 2
    nonisolated(unsafe) private static var own = LogBudget(now: 0)
    nonisolated(unsafe) private static var shared: UnsafeMutablePointer<LogBudget>?

    /// Before the first fork: one budget for all processes of the agent, because a peer can have a child started for
    /// each request. Two that log at the same time may count a line wrongly, no more.
    static func share() {
        let page = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
        guard let page, page != cs_map_failed() else { return }
        shared = page.bindMemory(to: LogBudget.self, capacity: 1)
        shared?.initialize(to: own)
    }

    @inline(never)
    static func info(_ message: Message) { write("ringway: " + message.text + "\n") }

    @inline(never)
    static func error(_ message: Message) { write("ringway: error: " + message.text + "\n") }

    private static func write(_ line: String) {
        let now = Clock.microseconds()
        let left: Int?
        if let shared {
            left = shared.pointee.take(now: now, hasRoom: hasRoom())
        } else {
            left = own.take(now: now, hasRoom: hasRoom())
        }
        guard let omitted = left else { return }
        let note = omitted == 0 ? "" : compose("ringway: \(omitted) lines of the log were left out here\n")
        let bytes = (note + line).copyBytes()
        _ = bytes.withUnsafeBufferPointer { CShim.write(descriptor, $0.baseAddress, $0.count) }
    }

    /// For a pipe that is PIPE_BUF bytes, which is more than two lines have. A terminal that was stopped has none.
    private static func hasRoom() -> Bool {
        var output = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&output, 1, 0) == 1 && output.revents & Int16(POLLOUT) != 0
    }
}

/// How many lines may be written: some at once, then some a second.
struct LogBudget {
    static let burst: UInt64 = 100
    static let microsecondsPerLine: UInt64 = 100_000

    private var lines = Self.burst
    private var filledAt: UInt64
    private var omitted = 0

    init(now: UInt64) { filledAt = now }

    /// Takes one line's worth.
    /// - Returns: how many lines were left out before it; nil when this one has to be, too.
    mutating func take(now: UInt64, hasRoom: Bool) -> Int? {
        let earned = (now &- filledAt) / Self.microsecondsPerLine
        filledAt &+= earned &* Self.microsecondsPerLine
        // The page is the data path's, too, which may be another's by then: no number in it may end this process.
        let available = min(Self.burst, min(lines, Self.burst) + min(earned, Self.burst))
        lines = available
        guard available > 0, hasRoom else {
            omitted &+= 1
            return nil
        }
        lines = available - 1
        let before = omitted
        omitted = 0
        return before
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim

/// How long this process could have run, and something else had its processor: another process, or another virtual
/// machine of the host.
enum RunDelay {
    /// Since the process, and the machine, have started.
    struct Reading: Equatable {
        /// Nanoseconds that it has waited for its processor.
        var waited: UInt64 = 0
        /// How often it was given the processor.
        var turns: UInt64 = 0
        /// Nanoseconds that the host has given to somebody else.
        var stolen: UInt64 = 0

        /// Who sleeps waits a moment each time it is woken, until the processor is awake as well, or until an agent
        /// that shares it has done what it does with one message. That belongs to what is measured. Another program
        /// keeps the processor for longer.
        static let own: UInt64 = 50_000

        /// Nanoseconds that something else has had since `before`.
        func since(_ before: Reading) -> UInt64 {
            let (waited, own) = (self.waited &- before.waited, (turns &- before.turns) &* Self.own)
            return (waited > own ? waited - own : 0) + (stolen &- before.stolen)
        }
    }

    /// - Parameter processor: the only one that this process runs on.
    static func now(_ processor: Int32) -> Reading {
        let process = parse(text(of: "/proc/self/schedstat", 128))
        let stolen = stolen(text(of: "/proc/stat", 64 << 10), processor)
        return Reading(waited: process.waited, turns: process.turns, stolen: stolen)
    }

    /// proc(5), schedstat: nanoseconds that it ran, that it waited, and how often it had its turn; zeros where the
    /// kernel does not count them.
    static func parse(_ text: String) -> Reading {
        let numbers = text.split { $0 == " " || $0 == "\n" }.map { UInt64($0) }
        guard numbers.count >= 3, let waited = numbers[1], let turns = numbers[2] else { return Reading() }
        return Reading(waited: waited, turns: turns)
    }

    /// proc(5), stat: the eighth number of a processor's line, in hundredths of a second; 0 where there is none.
    static func stolen(_ text: String, _ processor: Int32) -> UInt64 {
        let line = text.split(separator: "\n").first { $0.hasPrefix("cpu\(processor) ") }
        let words = line?.split(separator: " ") ?? []
        return words.count > 8 ? (UInt64(words[8]) ?? 0) * 10_000_000 : 0
    }

    private static func text(of path: String, _ size: Int) -> String {
        let file = cs_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: size)
        let count = read(file, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}

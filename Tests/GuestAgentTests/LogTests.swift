// SPDX-License-Identifier: Apache-2.0
import CShim
import Testing

@testable import GuestAgent

@Suite struct LogTests {
    /// A burst at once, then one line a tenth of a second; what was left out is counted once.
    @Test func budgetOfLines() {
        var budget = LogBudget(now: 5)
        for _ in 0..<LogBudget.burst { #expect(budget.take(now: 5, hasRoom: true) == 0) }
        for _ in 0..<3 { #expect(budget.take(now: 6, hasRoom: true) == nil) }
        let later = 5 + LogBudget.microsecondsPerLine
        #expect(budget.take(now: later, hasRoom: true) == 3)
        #expect(budget.take(now: later, hasRoom: true) == nil)
        // However long nothing was said, no more than a burst.
        let muchLater = later + 1_000_000 * LogBudget.microsecondsPerLine
        var written = 0
        while budget.take(now: muchLater, hasRoom: true) != nil { written += 1 }
        #expect(written == Int(LogBudget.burst))
    }

    @Test func aLineWithoutRoomIsCounted() {
        var budget = LogBudget(now: 0)
        #expect(budget.take(now: 0, hasRoom: false) == nil)
        #expect(budget.take(now: 0, hasRoom: false) == nil)
        #expect(budget.take(now: 0, hasRoom: true) == 2)
        #expect(budget.take(now: 0, hasRoom: true) == 0)
    }

    /// The data path shares the page, and may be another's: whatever it writes there, nobody traps over it.
    @Test func numbersThatAreNone() {
        for pattern: UInt8 in [0, 1, 0x7F, 0x80, 0xFF] {
            for now: UInt64 in [0, 1, 1 << 63, .max] {
                var budget = LogBudget(now: 0)
                _ = withUnsafeMutableBytes(of: &budget) { $0.initializeMemory(as: UInt8.self, repeating: pattern) }
                var written = 0
                for _ in 0...LogBudget.burst where budget.take(now: now, hasRoom: true) != nil { written += 1 }
                #expect(written <= Int(LogBudget.burst))
                _ = budget.take(now: now, hasRoom: false)
            }
        }
    }

    /// A reader that has stopped does not stop the agent: this test ends, and the reader finds whole lines.
    @Test func aFullPipeDoesNotBlock() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        Log.descriptor = ends[1]
        defer { Log.descriptor = 2 }
        _ = cs_fcntl_int(ends[1], 1031, 4096)  // F_SETPIPE_SZ
        let line = String(repeating: "x", count: 500)
        for _ in 0..<50 { Log.info("\(line)") }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = read(ends[0], &buffer, buffer.count)
        let text = String(decoding: buffer[0..<max(0, count)], as: UTF8.self)
        #expect(text.hasPrefix("ringway: xxx") && text.hasSuffix("x\n"))
    }
}

// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import GuestAgent

/// How many wake-ups a second the doorbell can cost, whatever comes with it: on a clock of the test's own.
@Suite struct DoorbellPacingTests {
    /// Wake-ups that get through in a second, when the peer rings every so many microseconds.
    private func heard(every gap: UInt64, forNothing: (Int) -> Bool) -> Int {
        var pacing = DoorbellPacing()
        var heard = 0
        for now in stride(from: UInt64(1_000_000), to: 2_000_000, by: Int(gap)) {
            if pacing.pausedUntil != 0, now >= pacing.pausedUntil { pacing.resume() }
            guard pacing.pausedUntil == 0 else { continue }
            _ = pacing.spend(forNothing: forNothing(heard), now)
            heard += 1
        }
        return heard
    }

    @Test func aStormIsBounded() {
        #expect(heard(every: 1) { _ in true } == 5_000)
        #expect(heard(every: 1) { _ in false } == 50_000)
        // Nine with a byte for each without: 19 of 500 for every ten.
        #expect((26_000...27_000).contains(heard(every: 1) { $0 % 10 == 0 }))
    }

    @Test func trafficIsNotPaused() {
        // A doorbell every 21 us with little behind it is faster than programs that wait for each other.
        #expect(heard(every: 21) { _ in false } == 47_620)
        #expect(heard(every: 201) { _ in true } == 4_976)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RingBench

@Suite struct CacheRegimeTests {
    @Test(
        arguments: [
            (80, 80, .near), (80, 128, .near), (128, 80, .near), (80, 128.1, .mixed), (128.1, 80, .mixed),
            (219.9, 219.9, .near), (219.9, 220, .mixed), (220, 219.9, .mixed), (220, 220, .far), (450, 720, .far),
            (720, 450, .far), (450, 720.1, .mixed), (2000, 2000, .far), (2000.1, 2000, .disturbed),
            (2000, 2000.1, .disturbed), (80, 5000, .disturbed), (0, 0, .mixed), (0, 80, .mixed), (80, 0, .mixed),
        ] as [(Double, Double, CacheRegime)])
    func byTheLine(_ before: Double, _ after: Double, _ regime: CacheRegime) {
        #expect(CacheRegime(before: before, after: after) == regime)
    }

    @Test func whoWasDelayedForMoreThanATwentieth() {
        func regime(_ delayed: UInt64) -> CacheRegime {
            .init(.init(nanoseconds: 2000, delayed: delayed, bounceBefore: 90, bounceAfter: 90))
        }
        #expect(regime(0) == .near && regime(100) == .near && regime(101) == .disturbed)
        #expect(CacheRegime.counting == [.near, .far])
    }

    @Test func schedstat() {
        #expect(RunDelay.parse("12345 678 90\n") == .init(waited: 678, turns: 90))
        for text in ["", "1 2", "1 x 3", "1 2 x", "no such file"] { #expect(RunDelay.parse(text) == .init()) }
    }

    @Test func stolenTime() {
        let text = "cpu  9 9 9 9 9 9 9 99 9 9\ncpu1 1 2 3 4 5 6 7 8 9 10\ncpu10 1 2 3 4 5 6 7 11 0 0\nintr 5 6\n"
        #expect(RunDelay.stolen(text, 1) == 80_000_000 && RunDelay.stolen(text, 10) == 110_000_000)
        #expect(RunDelay.stolen(text, 0) == 0 && RunDelay.stolen("", 0) == 0)
        // As old kernels have it: without that number.
        #expect(RunDelay.stolen("cpu0 1 2 3 4 5 6 7", 0) == 0)
    }

    /// Who sleeps is woken: a moment for each of its turns is its own; what is more was somebody else's.
    @Test func whatIsOwn() {
        let before = RunDelay.Reading(waited: 1_000_000, turns: 10, stolen: 20_000_000)
        func since(_ waited: UInt64, _ turns: UInt64, _ stolen: UInt64) -> UInt64 {
            RunDelay.Reading(waited: 1_000_000 + waited, turns: 10 + turns, stolen: 20_000_000 + stolen).since(before)
        }
        #expect(since(0, 0, 0) == 0 && since(300, 0, 0) == 300)
        #expect(since(100_000, 2, 0) == 0 && since(100_001, 2, 0) == 1)
        #expect(since(0, 5, 10_000_000) == 10_000_000)
    }

    @Test func thisKernelCountsIt() {
        let (first, second) = (RunDelay.now(0), RunDelay.now(0))
        #expect(first.turns > 0 && second.turns >= first.turns && second.waited >= first.waited)
    }

    @Test func everyRoundHasAllOfThemInAnOrderOfItsOwn() {
        let orders = (0..<40).map { Matrix.order(6, $0) }
        #expect(orders.allSatisfy { $0.sorted() == Array(0..<6) })
        #expect(Set(orders).count > 30 && orders == (0..<40).map { Matrix.order(6, $0) })
        // Everybody comes after everybody.
        let pairs = orders.flatMap { zip($0, $0.dropFirst()).map { [$0, $1] } }
        #expect(Set(pairs).count == 6 * 5)
    }
}

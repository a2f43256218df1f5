// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RingBench

@Suite struct BenchComparisonTests {
    /// A run in which the peer is as fast as ever, and the ring so fast.
    private func run(
        _ ring: [Double], lowerIsBetter: Bool = false, _ regime: CacheRegime = .near, peer: String = "memcpy"
    ) -> BenchRecord {
        let peers = [Double](repeating: 10, count: ring.count)
        return Records.run([
            Records.cell(
                "stream", lowerIsBetter: lowerIsBetter, regime,
                [("ring", ring), ("one lock for both ends", peers), (peer, peers)])
        ])
    }

    @Test func aTenthWorseAndApart() {
        let (old, worse) = (run([100, 101, 102]), run([90, 91, 91.5]))
        let found = BenchComparison(old: old, new: worse)
        #expect(found.compared == 1 && found.regressions.map(\.name) == ["ring"])
        #expect(
            found.text("old.json") == """
                worse than old.json: 1 of 1 ratios that both runs have
                  cell stream, ring, processors near: 9.10 (9.05 to 9.13) of memcpy, and was 10.10 (10.05 to 10.15)
                """)
        // Better is none, and what is better where less is, is worse here.
        #expect(BenchComparison(old: worse, new: old).regressions.isEmpty)
        let lower = BenchComparison(
            old: run([90, 91, 91.5], lowerIsBetter: true), new: run([100.5, 101, 102], lowerIsBetter: true))
        #expect(lower.regressions.count == 1)
        #expect(
            BenchComparison(
                old: run([100, 101, 102], lowerIsBetter: true), new: run([90, 91, 92], lowerIsBetter: true)
            ).regressions.isEmpty)
    }

    @Test(arguments: [[92, 93, 94], [50, 60, 90, 102, 103]])
    func lessThanATenthOrOverlapping(_ ring: [Double]) {
        let found = BenchComparison(old: run([100, 101, 102]), new: run(ring))
        #expect(found.compared == 1 && found.regressions.isEmpty)
    }

    @Test func whatCannotBeCompared() {
        let old = run([100, 101, 102])
        // Too few rounds, another regime, another peer, another cell.
        for new in [run([1, 1]), run([1, 1, 1], .far), run([1, 1, 1], peer: "pipe"), Records.run([])] {
            let found = BenchComparison(old: old, new: new)
            #expect(found.compared == 0 && found.regressions.isEmpty)
            #expect(found.text("x") == "worse than x: 0 of 0 ratios that both runs have")
        }
    }

    @Test func anotherMachineIsNamed() {
        let found = BenchComparison(old: Records.run([], processor: "Q"), new: Records.run([]))
        #expect(found.text("x").hasSuffix("; that was on Q, 2 processors"))
    }
}

// SPDX-License-Identifier: Apache-2.0
import BenchReport
import Testing

@testable import RingBench

@Suite struct BenchGoalsTests {
    /// What a goal divides by what, with its bound; written down a second time.
    struct Sample: Sendable, CustomTestStringConvertible {
        let cell: String
        let own: String
        let peer: String
        let sense: Goal.Sense
        let near: Double?
        let far: Double?
        /// How many goals the same cell and peer decide.
        var goal: String

        var testDescription: String { goal }
    }

    static let samples: [Sample] = [
        .init(
            cell: "messages-64", own: "ring", peer: "atomic_queue SPSC", sense: .atLeast, near: 1.1, far: 1.4,
            goal: "64 B messages, one at a time, against the best other SPSC queue"),
        .init(
            cell: "messages-64", own: "ring", peer: "rte_ring SPSC", sense: .atLeast, near: 2.2, far: 4,
            goal: "the same against rte_ring SPSC"),
        .init(
            cell: "messages-64", own: "ring, 32 in one hold", peer: "rte_ring SPSC, burst 32", sense: .atLeast,
            near: 0.9, far: 0.9, goal: "32 in a batch against rte_ring SPSC in bursts of 32"),
        .init(
            cell: "stream", own: "ring", peer: "memcpy of 1 MiB", sense: .atLeast, near: 0.9, far: 0.5,
            goal: "byte stream, writes of 64 KiB, against memcpy of 1 MiB"),
        .init(
            cell: "stream", own: "ring, looked at in place", peer: "ring, copied out and looked at", sense: .atLeast,
            near: 1.3, far: nil, goal: "spans in place against copying out"),
        .init(
            cell: "round-trip-64", own: "ring", peer: "line bounce", sense: .atMost, near: 1.8, far: 1.8,
            goal: "64 B there and back, polling, against the line's bounce"),
        .init(
            cell: "record-56", own: "record of one line", peer: "line bounce", sense: .atMost, near: 1.3, far: 1.3,
            goal: "a record that fits one line, there and back, against the line's bounce"),
        .init(
            cell: "blocking-64", own: "ring, doorbell by eventfd", peer: "eventfd pair", sense: .atMost, near: 1.1,
            far: 1.1, goal: "blocking round trip without spinning, against a bare eventfd pair"),
        .init(
            cell: "pump-stream", own: "pump: socket, agent, ring, agent, socket", peer: "AF_UNIX stream",
            sense: .atLeast, near: 1.5, far: 1.05, goal: "pump, 64 KiB, against AF_UNIX"),
        .init(
            cell: "pump-stream", own: "pump: socket, agent, ring, agent, socket", peer: "TCP loopback",
            sense: .atLeast, near: 1.3, far: 2.3, goal: "pump, 64 KiB, against TCP"),
        .init(
            cell: "pump-round-trip", own: "pump: socket, agent, ring, agent, socket", peer: "the same relay over TCP",
            sense: .atMost, near: 0.75, far: 0.5, goal: "pump, there and back, against the same relay over TCP"),
        .init(
            cell: "direct-stream", own: "two programs in direct mode", peer: "AF_UNIX stream", sense: .atLeast, near: 4,
            far: 2.5, goal: "direct mode, throughput, against AF_UNIX"),
        .init(
            cell: "direct-round-trip", own: "two programs in direct mode", peer: "AF_UNIX stream", sense: .atMost,
            near: 0.05, far: 1.0 / 12, goal: "direct mode, there and back, against AF_UNIX"),
    ]

    private func result(_ goal: String, _ cells: [CellRecord]) throws -> GoalResult {
        try #require(BenchGoals.table(cells).results.first { $0.goal.what == goal })
    }

    @Test(arguments: samples)
    func metAndMissed(_ sample: Sample) throws {
        for (bound, regime) in [(sample.near, CacheRegime.near), (sample.far, .far)] {
            guard let bound else { continue }
            func verdict(_ ratio: Double, _ peer: String) throws -> GoalResult.Verdict {
                // What is measured swings, and the ratio round by round does not.
                let peers = [100.0, 700, 3, 40]
                let cell = Records.cell(
                    sample.cell, regime, [(sample.own, peers.map { $0 * ratio }), (peer, peers)])
                return try result("\(sample.goal), \(regime.rawValue)", [cell]).verdict
            }
            let (good, bad) = sample.sense == .atLeast ? (1.001, 0.999) : (0.999, 1.001)
            #expect(try verdict(bound * good, sample.peer) == .met)
            #expect(try verdict(bound * bad, sample.peer) == .missed)
            #expect(try verdict(bound * good, "somebody else") == .notMeasured)
        }
    }

    /// Nothing that a goal names is misspelt: the cells have contenders of that name. (Those of peers/ are optional.)
    @Test func namesAreThoseOfTheCells() {
        #expect(Set(Self.samples.map(\.cell)).isSubset(of: BenchSuite.names))
        #expect(RingCarrier().name == "ring" && RingCarrier(batch: 32).name == "ring, 32 in one hold")
        #expect(RingCarrier(isPaced: false).name == "ring, looking again at once")
        #expect(BlockingRing().name == "ring, doorbell by eventfd" && EventPair().name == "eventfd pair")
        #expect(LineCarrier().name == "record of one line")
        let stream = StreamCells.cell(megabytes: 1, StreamCells.rings).contenders.map(\.name)
        #expect(stream.contains("memcpy of 1 MiB") && stream.contains("ring, looked at in place"))
        #expect(stream.contains("ring, copied out and looked at") && stream.contains("ring"))
        #expect(RoundTripCells.polling(message: 64, count: 1, []).contenders.map(\.name) == ["line bounce"])
        let goals = BenchGoals.table([]).results
        #expect(goals.count == 13 + 12 && goals.allSatisfy { $0.verdict == .notMeasured })
    }

    /// Each round's ratio is against the best of its peers in that round.
    @Test func theBestPeerOfEachRound() throws {
        let cell = Records.cell(
            "messages-64", .near,
            [
                ("ring", [22, 22, 22]), ("Boost spsc_queue", [10, 20, 10]), ("atomic_queue SPSC", [20, 10, 10]),
                ("rigtorp SPSCQueue", [1, 1, 20]), ("rte_ring MPMC", [90, 90, 90]),
            ])
        let result = try result("64 B messages, one at a time, against the best other SPSC queue, near", [cell])
        #expect(result.ratio == Quartiles([1.1, 1.1, 1.1]) && result.verdict == .met)
        #expect(result.note == "3 rounds, against Boost spsc_queue, atomic_queue SPSC, rigtorp SPSCQueue")
    }

    private let stream = "byte stream, writes of 64 KiB, against memcpy of 1 MiB"

    private func stream(_ own: [CacheRegime], _ peer: [CacheRegime]) -> [CellRecord] {
        [
            Records.cell(
                "stream",
                [
                    ("memcpy of 1 MiB", peer.map { _ in 1 }, peer), ("ring", own.map { _ in 1 }, own),
                ])
        ]
    }

    @Test func overHalfDiscardedIsNoVerdict() throws {
        let near = [CacheRegime](repeating: .near, count: 8)
        let half: [CacheRegime] = [.near, .mixed, .near, .disturbed, .near, .mixed, .near, .disturbed]
        #expect(try result(stream + ", near", stream(half, near)).verdict == .met)
        let more: [CacheRegime] = [.near, .mixed, .near, .disturbed, .near, .mixed, .mixed, .disturbed]
        let left = try result(stream + ", near", stream(more, near))
        #expect(left.verdict == .notMeasured && left.note == "5 of 8 rounds discarded: no verdict")
    }

    @Test func aRoundCountsWhereBothWereInOneRegime() throws {
        let cells = stream([.near, .near, .far, .near, .far], [.near, .near, .near, .mixed, .far])
        let near = try result(stream + ", near", cells)
        #expect(near.verdict == .notMeasured && near.note == "of 5 rounds 2 were with the processors near")
        let far = try result(stream + ", far", cells)
        #expect(far.note == "of 5 rounds 1 were with the processors far")
        #expect(try result(stream + ", near", []).note == "not asked for")
    }
}

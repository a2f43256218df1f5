// SPDX-License-Identifier: Apache-2.0
import BenchReport

/// The goals that a run on a host decides (docs/performance.md). Those of virtual machines are `ringway-rig bench`'s.
enum BenchGoals {
    private struct Bounds: Sendable {
        let required: Double
        let aim: Double
    }

    /// A goal by its cell: what is divided by what.
    private struct Rule: Sendable {
        let what: String
        let cell: String
        let name: String
        /// Of these the best counts, round by round.
        let peers: @Sendable (String) -> Bool
        let sense: Goal.Sense
        let near: Bounds?
        let far: Bounds?
    }

    private static func rule(
        _ what: String, _ cell: String, _ name: String, _ sense: Goal.Sense, near: (Double, Double)?,
        far: (Double, Double)?, peers: @escaping @Sendable (String) -> Bool
    ) -> Rule {
        Rule(
            what: what, cell: cell, name: name, peers: peers, sense: sense,
            near: near.map { Bounds(required: $0.0, aim: $0.1) }, far: far.map { Bounds(required: $0.0, aim: $0.1) })
    }

    private static let rules: [Rule] = [
        rule(
            "64 B messages, one at a time, against the best other SPSC queue", "messages-64", "ring", .atLeast,
            near: (1.1, 1.8), far: (1.4, 2.0)
        ) { otherQueues.contains($0) },
        rule(
            "the same against rte_ring SPSC", "messages-64", "ring", .atLeast, near: (2.2, 3.8), far: (4.0, 7.0)
        ) { $0 == "rte_ring SPSC" },
        rule(
            "32 in a batch against rte_ring SPSC in bursts of 32", "messages-64", "ring, 32 in one hold", .atLeast,
            near: (0.9, 1.15), far: (0.9, 1.25)
        ) { $0 == "rte_ring SPSC, burst 32" },
        rule(
            "byte stream, writes of 64 KiB, against memcpy of 1 MiB", "stream", "ring", .atLeast, near: (0.9, 1.05),
            far: (0.5, 0.58)
        ) { $0 == StreamCells.copy },
        rule(
            "spans in place against copying out", "stream", StreamCells.inPlace, .atLeast, near: (1.3, 1.5), far: nil
        ) { $0 == StreamCells.copiedOut },
        rule(
            "64 B there and back, polling, against the line's bounce", "round-trip-64", "ring", .atMost,
            near: (1.8, 1.4), far: (1.8, 1.4)
        ) { $0 == RoundTripCells.bounce },
        rule(
            "a record that fits one line, there and back, against the line's bounce", "record-56", LineCarrier.name,
            .atMost, near: (1.3, 1.15), far: (1.3, 1.1)
        ) { $0 == RoundTripCells.bounce },
        rule(
            "blocking round trip without spinning, against a bare eventfd pair", "blocking-64",
            "ring, doorbell by eventfd", .atMost, near: (1.1, 1.03), far: (1.1, 1.03)
        ) { $0 == "eventfd pair" },
        rule("pump, 64 KiB, against AF_UNIX", "pump-stream", pump, .atLeast, near: (1.5, 1.9), far: (1.05, 1.2)) {
            $0 == KernelCarrier.Kind.unixStream.rawValue
        },
        rule("pump, 64 KiB, against TCP", "pump-stream", pump, .atLeast, near: (1.3, 1.5), far: (2.3, 2.7)) {
            $0 == KernelCarrier.Kind.tcp.rawValue
        },
        rule(
            "pump, there and back, against the same relay over TCP", "pump-round-trip", pump, .atMost,
            near: (0.75, 0.64), far: (0.5, 0.41)
        ) { $0 == relay },
        rule(
            "direct mode, throughput, against AF_UNIX", "direct-stream", DirectCells.direct, .atLeast, near: (4, 6),
            far: (2.5, 3)
        ) { $0 == KernelCarrier.Kind.unixStream.rawValue },
        rule(
            "direct mode, there and back, against AF_UNIX", "direct-round-trip", DirectCells.direct, .atMost,
            near: (1 / 20, 1 / 40), far: (1 / 12, 1 / 16)
        ) { $0 == KernelCarrier.Kind.unixStream.rawValue },
    ]

    static let relay = "the same relay over TCP"
    static let pump = "pump: socket, agent, ring, agent, socket"
    static let otherQueues: Set<String> = ["Boost spsc_queue", "atomic_queue SPSC", "rigtorp SPSCQueue"]

    /// Rounds that a verdict needs at least.
    static let enough = 3

    static func table(_ cells: [CellRecord]) -> GoalTable {
        GoalTable(
            rules.flatMap { rule in
                [(rule.near, CacheRegime.near), (rule.far, .far)].compactMap { bounds, regime in
                    bounds.map { result(rule, $0, regime, cells) }
                }
            })
    }

    private static func result(
        _ rule: Rule, _ bounds: Bounds, _ regime: CacheRegime, _ cells: [CellRecord]
    ) -> GoalResult {
        let goal = Goal("\(rule.what), \(regime.rawValue)", rule.sense, bounds.required, aim: bounds.aim)
        guard let cell = cells.first(where: { $0.id == rule.cell }) else {
            return GoalResult(goal, ratios: [], note: "not asked for")
        }
        let peers = cell.series.map(\.name).filter(rule.peers)
        guard let own = cell.series(rule.name), !peers.isEmpty else {
            return GoalResult(goal, ratios: [], note: "the peer is missing")
        }
        let against = peers.count > 1 ? ", against \(peers.joined(separator: ", "))" : ""
        let ratios = worst(own, peers.compactMap(cell.series), regime, rule.sense)
        let all = own.regimes.count
        let discarded = own.regimes.count { !CacheRegime.counting.contains($0) }
        if all > 0, discarded * 2 > all {
            return GoalResult(goal, ratios: [], note: "\(discarded) of \(all) rounds discarded: no verdict")
        }
        guard ratios.count >= enough else {
            return GoalResult(
                goal, ratios: [], note: "of \(all) rounds \(ratios.count) were with the processors \(regime.rawValue)")
        }
        return GoalResult(goal, ratios: ratios, note: "\(ratios.count) rounds\(against)")
    }

    /// Against the best peer of each round.
    private static func worst(
        _ own: SeriesRecord, _ peers: [SeriesRecord], _ regime: CacheRegime, _ sense: Goal.Sense
    ) -> [Double] {
        own.values.indices.filter { own.regimes[$0] == regime }.compactMap { round in
            let values = peers.filter { round < $0.regimes.count && $0.regimes[round] == regime }.map {
                $0.values[round]
            }
            let best = sense == .atLeast ? values.max() : values.min()
            return best.map { own.values[round] / $0 }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import BenchReport
import Foundation

/// All that a benchmark has measured: every turn, and what follows from them.
public struct BenchRecord: Codable, Sendable {
    /// What could not be measured here, and why.
    struct Missing: Codable, Equatable, Sendable {
        let what: String
        let why: String
    }

    let host: BenchHost
    let settings: BenchSettings
    var integrity: [BenchIntegrity] = []
    var idle: [BenchIdle] = []
    var samples: [BenchSample] = []
    /// While ring and TCP took turns.
    var network: BenchNetwork?
    var missing: [Missing] = []
    public internal(set) var goals = GoalTable([])

    init(host: BenchHost, settings: BenchSettings) {
        self.host = host
        self.settings = settings
    }

    /// The phases' names.
    static let transports = "ring and TCP"
    static let guards = "guard on and off"

    /// State of an idle window.
    static let linked = "linked"
    static let attached = "linked, one device attached"

    /// Everything, for programs.
    public var json: Data {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            return try encoder.encode(self)
        }
    }

    /// Ratios of the ring to TCP, round by round.
    func transportRatios(_ work: BenchWork) -> [Double] {
        samples.ratios("ring", against: "tcp", work, phase: Self.transports)
    }

    /// Ratios of the guard on to off.
    func guardRatios(_ work: BenchWork) -> [Double] {
        samples.ratios("ring", against: "unguarded", work, phase: Self.guards)
    }

    /// Ratios of processor time for a byte, of a geometry to the smallest.
    func costRatios(_ geometry: BenchGeometry) -> [Double] {
        samples.ratios(
            geometry.name, against: BenchGeometry.one.name, settings.bulkRead, phase: BenchGuests.geometryPhase
        ) { $0.processorTimePerMegabyte }
    }

    /// The verdicts on what has been measured.
    func judged() -> GoalTable {
        let quiet = idle.filter { $0.state == Self.linked }
        return GoalTable([
            GoalResult(
                Goal("USB bulk read, 1 MiB, ring vs TCP over virtio-net", .atLeast, 1.5, aim: 2.5),
                ratios: transportRatios(settings.bulkRead)),
            GoalResult(
                Goal("control URB latency, ring vs TCP", .atMost, 0.7, aim: 0.5),
                ratios: transportRatios(settings.control)),
            GoalResult(
                Goal("guard on vs off: bulk", .atLeast, 0.95, aim: 0.98), ratios: guardRatios(settings.bulkRead)),
            GoalResult(
                Goal("guard on vs off: latency", .atMost, 1.1, aim: 1.03), ratios: guardRatios(settings.control)),
            GoalResult(
                Goal("agent CPU when idle and linked, percent of a core", .atMost, 0.5, aim: 0.1),
                ratios: quiet.map(\.percent)),
            GoalResult(
                Goal("doorbells while idle and linked", .atMost, 0, aim: 0),
                ratios: quiet.map { Double($0.doorbells) }),
            GoalResult(
                Goal("cost per byte, 64 channels vs 1", .atMost, 1.2, aim: 1.1), ratios: costRatios(.many)),
            GoalResult(
                Goal("cost per byte, ring of 4 MiB vs 64 KiB", .atMost, 1.2, aim: 1.1), ratios: costRatios(.large)),
        ])
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Channels and rings of the agents: whether a byte costs more where there are more of them.
struct BenchGeometry: Equatable, Sendable {
    let channels: Int
    /// As the configuration says it.
    let ring: String

    /// All fit into sections of 8 MiB. 64 channels with rings of 4 MiB would take 256 MiB each.
    static let one = BenchGeometry(channels: 1, ring: "64K")
    static let many = BenchGeometry(channels: 64, ring: "64K")
    static let large = BenchGeometry(channels: 1, ring: "4M")
    static let all = [one, many, large]

    var name: String { "\(channels) × \(ring)" }

    /// The importer opens all.
    var configuration: [String] { ["channels = \(channels)", "ring-size = \(ring)", "opens-a = 0"] }
}

extension BenchGuests {
    /// What a byte costs with each geometry, in turns: agents take theirs when they start.
    func measureGeometries(_ settings: BenchSettings, progress: Progress) throws -> [BenchSample] {
        var samples: [BenchSample] = []
        // The first turn does not count.
        for round in -1..<settings.rounds {
            if round >= 0 { progress.note("channels and rings: round \(round + 1) of \(settings.rounds)") }
            for geometry in BenchGeometry.all.inTurn(round) {
                try stopAgents()
                try startAgents(configuration: settings.configuration + geometry.configuration)
                try attach(.ring)
                let work = settings.bulkRead
                _ = try measure(.ring, work, phase: "warm-up", round: round)
                let sample = try measure(.ring, work, phase: Self.geometryPhase, round: round, named: geometry.name)
                if round >= 0 { samples.append(sample) }
                try release(.ring)
            }
        }
        return samples
    }

    static let geometryPhase = "channels and rings"
}

extension Array {
    /// The elements, from another one on each round: whoever comes second finds warmer caches.
    func inTurn(_ round: Int) -> [Element] {
        guard !isEmpty else { return [] }
        let first = (round % count + count) % count
        return Array(self[first...] + self[..<first])
    }
}

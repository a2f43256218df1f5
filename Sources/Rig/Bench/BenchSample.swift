// SPDX-License-Identifier: Apache-2.0

/// One turn of one contender.
struct BenchSample: Codable, Equatable, Sendable {
    /// Which turns belong together.
    let phase: String
    let round: Int
    let contender: String
    let work: BenchWork
    let figure: BenchFigure
    /// Requests that the importer's kernel has sent to the device.
    let urbs: Int
    /// nil where no agent is in the path.
    let importer: AgentUse?
    let exporter: AgentUse?

    /// What is compared.
    var value: Double { work.isRate ? figure.megabytesPerSecond : figure.microseconds }

    private var megabytes: Double { Double(figure.bytes) / 1e6 }

    /// Milliseconds of processor time of both agents for a MB.
    var processorTimePerMegabyte: Double? {
        guard let importer, let exporter else { return nil }
        return (importer.processorTime + exporter.processorTime) / 1e6 / megabytes
    }

    var urbsPerRequest: Double { Double(urbs) / Double(figure.requests) }

    /// Microseconds of processor time of both agents for a request.
    var processorTimePerRequest: Double? {
        guard let importer, let exporter else { return nil }
        return (importer.processorTime + exporter.processorTime) / 1e3 / Double(figure.requests)
    }

    /// Of both agents, for a request.
    var wakeUpsPerRequest: Double? {
        guard let importer, let exporter else { return nil }
        return Double(importer.wakeUps + exporter.wakeUps) / Double(figure.requests)
    }

    /// Of both agents, for a MB.
    var doorbellsPerMegabyte: Double? {
        guard let importer, let exporter else { return nil }
        return Double(importer.doorbellsRung + exporter.doorbellsRung) / megabytes
    }
}

/// Turns, by who had them at what.
extension [BenchSample] {
    func of(_ contender: String, _ work: BenchWork, phase: String) -> [BenchSample] {
        filter { $0.contender == contender && $0.work == work && $0.phase == phase }.sorted { $0.round < $1.round }
    }

    /// A value of one contender against that of another, round by round; rounds that only one of them has are left out.
    func ratios(
        _ contender: String, against other: String, _ work: BenchWork, phase: String,
        _ value: (BenchSample) -> Double? = { $0.value }
    ) -> [Double] {
        let others = of(other, work, phase: phase)
        return of(contender, work, phase: phase).compactMap { sample in
            guard let peer = others.first(where: { $0.round == sample.round }), let bottom = value(peer), bottom > 0
            else { return nil }
            return value(sample).map { $0 / bottom }
        }
    }
}

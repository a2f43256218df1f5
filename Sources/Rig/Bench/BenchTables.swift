// SPDX-License-Identifier: Apache-2.0
import BenchReport

/// What a benchmark prints: medians with quartiles, and the ratio round by round.
extension BenchRecord {
    public var report: String {
        let parts = [
            "Machine: \(host.text)", integrityText, transportTable, networkText,
            eventTable, guardTable, agentTable, geometryTable, missingText,
            goals.text, goals.closing,
        ]
        return parts.filter { !$0.isEmpty }.joined(separator: "\n\n")
    }

    private var integrityText: String {
        let bytes = settings.diskSize >> 20
        return integrity.map {
            "integrity \($0.contender.rawValue): \($0.holds ? "held" : "BROKEN"), \(bytes) MiB read and \(bytes) MiB "
                + "written, sha256 on the host and in the importer"
        }.joined(separator: "\n")
    }

    private var transportTable: String {
        table(
            "USB over the ring against USB/IP over TCP on virtio-net", Self.transports, settings.works, "ring", "tcp",
            heads: ("ring", "TCP"))
    }

    private var networkText: String {
        guard let network else { return "" }
        return "TCP: MTU \(settings.mtu), \(network.sent) segments, \(network.sentAgain) of them sent again"
    }

    /// Of each turn the time that half of its events did not exceed, and that all but one in a hundred did not.
    private var eventTable: String {
        let percentiles: [(name: String, value: (BenchSample) -> Double)] = [
            ("50 %", { $0.figure.p50 / 1000 }), ("99 %", { $0.figure.p99 / 1000 }),
        ]
        let rows = settings.eventWorks.flatMap { work in
            percentiles.compactMap { percentile -> String? in
                let ratios = samples.ratios(
                    "ring", against: "tcp", work, phase: BenchGuests.eventPhase, percentile.value)
                guard !ratios.isEmpty else { return nil }
                func text(_ contender: String) -> String {
                    Self.text(samples.of(contender, work, phase: BenchGuests.eventPhase).map(percentile.value), 1)
                }
                return "| \(work.title), \(percentile.name) | \(text("ring")) | \(text("tcp")) "
                    + "| \(Self.text(ratios, 2)) |"
            }
        }
        guard !rows.isEmpty else { return "" }
        return """
            Events, µs, not exceeded by so many of a turn's (lower is better), \(settings.rounds) rounds in turns; \
            median (quartiles)

            | what | ring | TCP | ring / TCP, round by round |
            |---|---|---|---|
            \(rows.joined(separator: "\n"))
            """
    }

    private var guardTable: String {
        table(
            "The guard: the same agents, a port with it and one without", Self.guards,
            [settings.bulkRead, settings.control], "ring", "unguarded", heads: ("guard on", "guard off"))
    }

    private func table(
        _ title: String, _ phase: String, _ works: [BenchWork], _ one: String, _ other: String,
        heads: (String, String)
    ) -> String {
        let rows = works.compactMap { work -> String? in
            let ratios = samples.ratios(one, against: other, work, phase: phase)
            guard !ratios.isEmpty else { return nil }
            func text(_ contender: String) -> String {
                Self.text(samples.of(contender, work, phase: phase).map(\.value), 1)
            }
            return "| \(work.title) | \(text(one)) | \(text(other)) | \(Self.text(ratios, 2)) |"
        }
        guard !rows.isEmpty else { return "" }
        return """
            \(title), \(settings.rounds) rounds in turns; median (quartiles)

            | what | \(heads.0) | \(heads.1) | \(heads.0) / \(heads.1), round by round |
            |---|---|---|---|
            \(rows.joined(separator: "\n"))
            """
    }

    private var agentTable: String {
        var rows: [String] = []
        func add(_ what: String, _ digits: Int, _ values: [Double]) {
            if !values.isEmpty { rows.append("| \(what) | \(Self.text(values, digits)) |") }
        }
        for work in settings.works where work.isRate && work.size == 1 << 20 {
            let turns = samples.of("ring", work, phase: Self.transports)
            let name = "\(work.kind.rawValue), 1 MiB a request"
            add("both agents' CPU, ms/MB, \(name)", 2, turns.compactMap(\.processorTimePerMegabyte))
            add("both agents' doorbells/MB, \(name)", 1, turns.compactMap(\.doorbellsPerMegabyte))
            add("URBs a request, \(name)", 1, turns.map(\.urbsPerRequest))
        }
        let requests = samples.of("ring", settings.control, phase: Self.transports)
        add("both agents' CPU, µs a control request", 0, requests.compactMap(\.processorTimePerRequest))
        add("both agents' wake-ups a control request", 1, requests.compactMap(\.wakeUpsPerRequest))
        for state in [Self.linked, Self.attached] {
            let windows = idle.filter { $0.state == state }
            add("CPU when idle, percent of a core, \(state)", 3, windows.map(\.percent))
            add("doorbells in \(settings.idleSeconds) s, \(state)", 0, windows.map { Double($0.doorbells) })
        }
        guard !rows.isEmpty else { return "" }
        return "The agents; median (quartiles)\n\n| what | |\n|---|---|\n" + rows.joined(separator: "\n")
    }

    private var geometryTable: String {
        let rows = BenchGeometry.all.compactMap { geometry -> String? in
            let turns = samples.of(geometry.name, settings.bulkRead, phase: BenchGuests.geometryPhase)
            guard !turns.isEmpty else { return nil }
            return "| \(geometry.name) | \(Self.text(turns.compactMap(\.processorTimePerMegabyte), 2)) "
                + "| \(Self.text(turns.map(\.value), 1)) | \(Self.text(costRatios(geometry), 2)) |"
        }
        guard !rows.isEmpty else { return "" }
        return """
            What a byte costs with other channels and rings, bulk read, 1 MiB a request, in turns; median (quartiles)

            | channels × ring | both agents' CPU, ms/MB | MB/s | CPU against \(BenchGeometry.one.name), round by round |
            |---|---|---|---|
            \(rows.joined(separator: "\n"))
            """
    }

    private var missingText: String { missing.map { "missing: \($0.what): \($0.why)" }.joined(separator: "\n") }

    private static func text(_ values: [Double], _ digits: Int) -> String {
        values.isEmpty ? "–" : Quartiles(values).text(digits)
    }
}

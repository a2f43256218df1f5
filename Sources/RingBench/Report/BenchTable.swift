// SPDX-License-Identifier: Apache-2.0
import BenchReport

/// A run as Markdown tables: one for each cell and regime in which something counts.
enum BenchTable {
    static func text(_ record: BenchRecord) -> String {
        let machine = record.machine
        let (count, discarded) = record.measured
        let head = """
            \(machine.processor), \(machine.processors) processors, Linux \(machine.kernel), commit \(machine.commit); \
            \(record.rounds) rounds in turns; \(count) measurements, \(discarded) discarded
            """
        let missing = record.missing.map { "missing: \($0)" }
        let tables = record.cells.flatMap { cell in CacheRegime.counting.compactMap { table(cell, $0) } }
        return ([head] + (missing.isEmpty ? [] : [missing.joined(separator: "\n")]) + tables).joined(separator: "\n\n")
    }

    private static func table(_ cell: CellRecord, _ regime: CacheRegime) -> String? {
        let rows = cell.series.compactMap { row($0, cell, regime) }
        guard !rows.isEmpty else { return nil }
        let better = cell.lowerIsBetter ? ", lower is better" : ""
        let head = "\(cell.title), processors \(regime.rawValue); median (quartiles)"
        let first = cell.series.first?.name ?? ""
        return """
            \(head)

            | | \(cell.unit)\(better) | against \(first), round by round | rounds |
            |---|---|---|---|
            \(rows.joined(separator: "\n"))
            """ + (latencies(cell, regime).map { "\n\n" + $0 } ?? "")
    }

    private static func row(_ series: SeriesRecord, _ cell: CellRecord, _ regime: CacheRegime) -> String? {
        let values = series.values(regime)
        guard !values.isEmpty, let first = cell.series.first else { return nil }
        let ratios = cell.ratios(series.name, first.name, regime)
        let ratio = series.name == first.name ? "" : ratios.isEmpty ? "–" : Quartiles(ratios).text(2)
        let digits = (values.max() ?? 0) < 10 ? 2 : (values.max() ?? 0) < 1000 ? 1 : 0
        return "| \(series.name) | \(Quartiles(values).text(digits)) | \(ratio) | \(values.count) |"
    }

    static let percents: [Double] = [50, 90, 99, 99.9, 99.99]

    static func percentText(_ percent: Double) -> String {
        percent.rounded() == percent ? "\(Int(percent)) %" : "\(percent) %"
    }

    private static func latencies(_ cell: CellRecord, _ regime: CacheRegime) -> String? {
        let rows = cell.series.compactMap { series -> String? in
            guard let profile = series.latencies[regime] else { return nil }
            let values = percents.map { "\(profile.percentile($0))" } + ["\(profile.largest)", "\(profile.count)"]
            return "| \(series.name) | \(values.joined(separator: " | ")) |"
        }
        guard !rows.isEmpty else { return nil }
        let head = percents.map(percentText) + ["largest", "round trips"]
        return """
            | ns, not exceeded by | \(head.joined(separator: " | ")) |
            |\(String(repeating: "---|", count: head.count + 1))
            \(rows.joined(separator: "\n"))
            """
    }
}

/// The same as lines of comma-separated values, one for each measurement.
enum BenchCSV {
    static func text(_ record: BenchRecord) -> String {
        var lines = ["cell,contender,round,regime,value,unit"]
        for cell in record.cells {
            for series in cell.series {
                for round in series.values.indices {
                    lines.append(
                        "\(cell.id),\(quoted(series.name)),\(round + 1),\(series.regimes[round].rawValue),"
                            + "\(series.values[round]),\(cell.unit)")
                }
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// As RFC 4180 has it.
    private static func quoted(_ text: String) -> String {
        text.contains { [",", "\"", "\n", "\r", "\r\n"].contains($0) }
            ? "\"\(text.replacing("\"", with: "\"\""))\"" : text
    }
}

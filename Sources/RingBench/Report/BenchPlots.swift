// SPDX-License-Identifier: Apache-2.0
import BenchReport
import Foundation

/// A run's plots: throughput by the size of messages, and latency by percentile, for each regime in which there is
/// something to show.
enum BenchPlots {
    /// - Returns: names of files, and what is in them.
    static func all(_ record: BenchRecord) -> [(name: String, svg: String)] {
        CacheRegime.counting.flatMap { regime in
            [
                ("throughput-\(regime.rawValue).svg", throughput(record, regime)),
                ("latency-\(regime.rawValue).svg", latency(record, regime)),
            ].compactMap { name, plot in plot.map { (name, $0.svg) } }
        }
    }

    private static func throughput(_ record: BenchRecord, _ regime: CacheRegime) -> LinePlot? {
        let cells = record.cells.compactMap { cell -> (size: Double, cell: CellRecord)? in
            guard cell.id.hasPrefix("messages-") else { return nil }
            return Double(cell.id.dropFirst(9)).map { ($0, cell) }
        }
        let names = cells.flatMap { $0.cell.series.map(\.name) }
        var seen: Set<String> = []
        let lines = names.filter { seen.insert($0).inserted }.compactMap { name -> LinePlot.Line? in
            let points = cells.compactMap { size, cell -> (x: Double, y: Double)? in
                guard let values = cell.series(name)?.values(regime), !values.isEmpty else { return nil }
                // Millions of messages a second, times bytes: MB/s.
                return (size, Quartiles(values).median * size)
            }
            return points.isEmpty ? nil : LinePlot.Line(name: name, points: points)
        }
        guard !lines.isEmpty else { return nil }
        return LinePlot(
            title: "Messages one way, processors \(regime.rawValue): medians",
            x: .init(title: "bytes in a message", marks: cells.map { ($0.size, ByteText.of(Int($0.size))) }),
            y: .init(title: "MB/s", marks: powersOfTen(lines)), lines: lines)
    }

    private static func latency(_ record: BenchRecord, _ regime: CacheRegime) -> LinePlot? {
        let series = record.cells.flatMap(\.series)
        let lines = series.compactMap { series -> LinePlot.Line? in
            guard let profile = series.latencies[regime] else { return nil }
            let points = BenchTable.percents.map { (x: 100 / (100 - $0), y: Double(max(1, profile.percentile($0)))) }
            return LinePlot.Line(name: series.name, points: points)
        }
        guard !lines.isEmpty else { return nil }
        return LinePlot(
            title: "64 B there and back, processors \(regime.rawValue)",
            x: .init(
                title: "percentile", marks: BenchTable.percents.map { (100 / (100 - $0), BenchTable.percentText($0)) }),
            y: .init(title: "ns", marks: powersOfTen(lines)), lines: lines)
    }

    /// Marks around everything that there is.
    private static func powersOfTen(_ lines: [LinePlot.Line]) -> [(value: Double, text: String)] {
        let values = lines.flatMap { $0.points.map(\.y) }.filter { $0 > 0 }
        let low = Int(log10(values.min() ?? 1).rounded(.down))
        let high = max(low + 1, Int(log10(values.max() ?? 10).rounded(.up)))
        return (low...high).map { power in
            let value = pow(10, Double(power))
            return (value, value >= 1 ? "\(Int(value))" : "\(value)")
        }
    }
}

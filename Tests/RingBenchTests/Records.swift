// SPDX-License-Identifier: Apache-2.0
@testable import RingBench

/// Made-up results.
enum Records {
    static func cell(
        _ id: String, lowerIsBetter: Bool = false, _ series: [(name: String, values: [Double], regimes: [CacheRegime])]
    ) -> CellRecord {
        var record = CellRecord(
            Cell(id: id, title: "cell \(id)", unit: "M/s", lowerIsBetter: lowerIsBetter, contenders: []))
        record.series = series.map { SeriesRecord(name: $0.name, values: $0.values, regimes: $0.regimes) }
        return record
    }

    /// Every round in one regime.
    static func cell(
        _ id: String, lowerIsBetter: Bool = false, _ regime: CacheRegime, _ series: [(String, [Double])]
    ) -> CellRecord {
        cell(
            id, lowerIsBetter: lowerIsBetter,
            series.map { ($0.0, $0.1, [CacheRegime](repeating: regime, count: $0.1.count)) })
    }

    static func run(_ cells: [CellRecord], missing: [String] = [], processor: String = "P") -> BenchRecord {
        BenchRecord(
            machine: Machine(
                processor: processor, processors: 2, kernel: "6.1", commit: "0123456789ab",
                date: "2000-01-01T00:00:00Z"), rounds: 4, work: 100, cells: cells, missing: missing,
            goals: BenchGoals.table(cells))
    }
}

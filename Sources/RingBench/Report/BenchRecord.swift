// SPDX-License-Identifier: Apache-2.0
import BenchReport
import Foundation

/// Everything that a run has measured: what every table, plot and comparison is made from, and what `--json` writes.
struct BenchRecord: Codable {
    /// Of this format.
    var version = 1
    let machine: Machine
    let rounds: Int
    /// Percent of the usual work.
    let work: Int
    var cells: [CellRecord]
    /// Peers that this machine does not have, and why.
    let missing: [String]
    var goals: GoalTable

    /// How many measurements there are, and how many of them were discarded.
    var measured: (count: Int, discarded: Int) {
        let all = cells.flatMap(\.series).flatMap(\.regimes)
        return (all.count, all.count { !CacheRegime.counting.contains($0) })
    }

    /// - Throws: ``BenchError`` where the file cannot be read, or is none of this format.
    static func read(_ path: String) throws -> BenchRecord {
        do {
            let record = try JSONDecoder().decode(
                BenchRecord.self, from: try Data(contentsOf: URL(fileURLWithPath: path)))
            guard record.version == 1 else {
                throw BenchError(
                    tried: "read \(path)", happened: "it is of version \(record.version)", remedy: "measure again")
            }
            return record
        } catch let error as BenchError {
            throw error
        } catch {
            throw BenchError(
                tried: "read \(path)", happened: "\(error.localizedDescription)",
                remedy: "name a file that `ringway-bench ring --json` has written")
        }
    }

    func write(_ path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try BenchFile.write(try encoder.encode(self), path)
    }
}

/// A cell and what was measured in it.
struct CellRecord: Codable {
    let id: String
    let title: String
    let unit: String
    let lowerIsBetter: Bool
    var series: [SeriesRecord]

    init(_ cell: Cell) {
        (id, title, unit, lowerIsBetter) = (cell.id, cell.title, cell.unit, cell.lowerIsBetter)
        series = cell.contenders.map { SeriesRecord(name: $0.name) }
    }

    func series(_ name: String) -> SeriesRecord? { series.first { $0.name == name } }

    /// One ratio for each round in which both were measured in that regime.
    func ratios(_ name: String, _ peer: String, _ regime: CacheRegime) -> [Double] {
        guard let one = series(name), let other = series(peer) else { return [] }
        return zip(one.regimes.indices, other.regimes.indices)
            .filter { one.regimes[$0] == regime && other.regimes[$1] == regime }
            .map { one.values[$0] / other.values[$1] }
    }
}

/// What a contender has shown: a value and a regime for each round.
struct SeriesRecord: Codable {
    let name: String
    var values: [Double] = []
    var regimes: [CacheRegime] = []
    /// Nanoseconds of each round trip that counts, where they were taken one by one; sorted.
    var latencies: [CacheRegime: LatencyProfile] = [:]

    mutating func add(_ measurement: Measurement) {
        values.append(measurement.value)
        regimes.append(measurement.regime)
        if !measurement.latencies.isEmpty {
            latencies[measurement.regime, default: LatencyProfile()].add(measurement.latencies)
        }
    }

    func values(_ regime: CacheRegime) -> [Double] {
        regimes.indices.filter { regimes[$0] == regime }.map { values[$0] }
    }
}

extension CacheRegime: CodingKeyRepresentable {}

/// A file that the user asked for.
enum BenchFile {
    static func write(_ data: Data, _ path: String) throws {
        do { try data.write(to: URL(fileURLWithPath: path)) } catch {
            throw BenchError(
                tried: "write \(path)", happened: error.localizedDescription, remedy: "name another file")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import BenchReport
import Foundation

/// Everything that a run has measured: what every table, plot and comparison is made from, and what `--json` writes.
struct BenchRecord: Codable {
    static let version = 1

    /// Of this format.
    var version = BenchRecord.version
    let machine: Machine
    let rounds: Int
    /// Percent of the usual work.
    let work: Int
    var cells: [CellRecord]
    /// Peers that this machine does not have, and why.
    let missing: [String]
    /// Where the guard's cost was measured, too.
    var guardCost: GuardValues?
    var goals: GoalTable

    /// What is wrong with it, where a file was changed: every value has its regime.
    private var fault: String? {
        for series in cells.flatMap(\.series) where series.values.count != series.regimes.count {
            return "\(series.name) has \(series.values.count) values and \(series.regimes.count) regimes"
        }
        return nil
    }

    /// How many measurements there are, and how many of them were discarded.
    var measured: (count: Int, discarded: Int) {
        let all = cells.flatMap(\.series).flatMap(\.regimes)
        return (all.count, all.count { !CacheRegime.counting.contains($0) })
    }

    /// - Throws: ``BenchError`` where the file cannot be read, or is none of this format.
    static func read(_ path: String) throws -> BenchRecord {
        func failure(_ happened: String) -> BenchError {
            BenchError(
                tried: "read \(path)", happened: happened,
                remedy: "name a file that `ringway-bench ring --json` has written")
        }
        let data: Data
        do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            throw failure(error.localizedDescription)
        }
        // The version alone first: of another one nothing else can be expected.
        struct Version: Decodable { let version: Int }
        guard let version = try? JSONDecoder().decode(Version.self, from: data) else {
            throw failure("it is no record of a run")
        }
        guard version.version == BenchRecord.version else {
            throw failure("it is of version \(version.version), and this program writes \(BenchRecord.version)")
        }
        let record: BenchRecord
        do { record = try JSONDecoder().decode(BenchRecord.self, from: data) } catch {
            throw failure("it is not whole (\(Self.place(error)))")
        }
        if let fault = record.fault { throw failure(fault) }
        return record
    }

    private static func place(_ error: any Error) -> String {
        switch error as? DecodingError {
        case .keyNotFound(let key, let context): "there is no \(path(context.codingPath + [key]))"
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            "\(path(context.codingPath)): \(context.debugDescription)"
        default: error.localizedDescription
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
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
    /// How long each round trip took, of the measurements that count, where they were taken one by one.
    var latencies: [CacheRegime: LatencyProfile] = [:]

    mutating func add(_ measurement: Measurement) {
        values.append(measurement.value)
        regimes.append(measurement.regime)
        if !measurement.latencies.isEmpty, CacheRegime.counting.contains(measurement.regime) {
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
    /// - Throws: ``BenchError`` where it could not be written: that is told before the work, not after it.
    static func check(_ path: String) throws {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let place = FileManager.default.fileExists(atPath: path) ? path : folder
        var isFolder: ObjCBool = false
        let isThere = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        guard !isThere || !isFolder.boolValue, FileManager.default.isWritableFile(atPath: place) else {
            throw BenchError(
                tried: "write \(path)", happened: isFolder.boolValue ? "it is a folder" : "\(place) cannot be written",
                remedy: "name another file")
        }
    }

    static func makeFolder(_ path: String) throws {
        do { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) } catch {
            throw BenchError(
                tried: "make the folder \(path)", happened: error.localizedDescription, remedy: "name another")
        }
    }

    static func write(_ data: Data, _ path: String) throws {
        do { try data.write(to: URL(fileURLWithPath: path)) } catch {
            throw BenchError(
                tried: "write \(path)", happened: error.localizedDescription, remedy: "name another file")
        }
    }
}

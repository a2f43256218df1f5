// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import RingBench

/// The program as a whole, with little work: what it measures decides nothing here.
@Suite(.serialized, .enabled(if: hasTwoProcessors, "two processors are needed"))
struct RingCommandTests {
    private let folder: ScratchFolder
    private var json: String { folder.path + "/run.json" }
    private static let little = ["ring", "--work=1", "--rounds=1", "--peers=/no/such"]

    init() throws { folder = try ScratchFolder() }

    @Test func oneCell() throws {
        let words = Self.little + ["--only=round-trip-64"]
        let files = ["--json=\(json)", "--csv=\(folder.path)/run.csv", "--plots=\(folder.path)/plots"]
        let ended = try BenchProgram(words + files)
        #expect(ended.status == 0 && ended.errors.isEmpty, "\(ended.errors)")
        let last = ended.output.split(separator: "\n").last ?? ""
        #expect(last.wholeMatch(of: #/goals: \d+ met, \d+ missed, \d+ not measured/#) != nil, "\(last)")
        #expect(ended.output.contains("missing: every queue of peers/"))
        let record = try BenchRecord.read(json)
        #expect(record.cells.map(\.id) == ["round-trip-64"] && record.rounds == 1 && record.work == 1)
        let series = try #require(record.cells.first).series
        #expect(series.map(\.name).prefix(3) == ["line bounce", "ring", "one lock for both ends"])
        #expect(series.allSatisfy { $0.values.count == 1 && $0.values[0] > 0 })
        let csv = try String(contentsOfFile: folder.path + "/run.csv", encoding: .utf8)
        #expect(csv.split(separator: "\n").count == 1 + series.count)
        #expect(FileManager.default.fileExists(atPath: folder.path + "/plots"))
        // A goal whose cell was not asked for is not measured: with --strict that is a failure.
        let strict = try BenchProgram(words + ["--strict", "--compare=\(json)"])
        #expect(strict.status == 1 && strict.errors.isEmpty, "\(strict.errors)")
        #expect(strict.output.contains("worse than \(json): 0 of 0 ratios that both runs have"))
    }

    @Test func bothWithOneClosingLine() throws {
        let ended = try BenchProgram(
            ["all", "--work=1", "--rounds=1", "--peers=/no/such", "--only=pump-round", "--json=\(json)"])
        #expect(ended.status == 0, "\(ended.errors)")
        #expect(ended.output.contains("| bulk, 128 KiB a transfer, MB/s |"))
        let goals = try BenchRecord.read(json).goals
        let guards = goals.results.suffix(2)
        #expect(guards.allSatisfy { $0.verdict != .notMeasured && $0.count == 4 })
        #expect(guards.map(\.goal.required) == [0.95, 1.1] && guards.map(\.goal.aim) == [0.98, 1.03])
        #expect(ended.output.hasSuffix("\n\(goals.closing)\n"))
        #expect(ended.output.matches(of: #/goals: /#).count == 1)
        #expect(try BenchRecord.read(json).guardCost?.on.rates.count == 4)
        #expect(try BenchProgram.leftovers(ended.process).isEmpty)
    }

    @Test(arguments: ["--rounds=0", "--rounds=1001", "--work=0", "--work=1001", "--rounds=x", "--no-such-flag"])
    func flagsThatAreNotValid(_ flag: String) throws {
        for command in ["ring", "all"] {
            let ended = try BenchProgram([command, flag])
            #expect(ended.status == 64 && ended.errors.contains(flag.prefix { $0 != "=" }), "\(ended.errors)")
        }
    }

    @Test func whatIsToldBeforeTheWork() throws {
        let unknown = try BenchProgram(Self.little + ["--only=no-such-cell"])
        #expect(unknown.status == 1 && unknown.errors.contains("could not find a cell with no-such-cell"))
        #expect(BenchSuite.names.allSatisfy { unknown.errors.contains($0) })
        let unreadable = try BenchProgram(Self.little + ["--compare=/no/file"])
        #expect(unreadable.status == 1 && unreadable.errors.contains("could not read /no/file"))
        let unwritable = try BenchProgram(Self.little + ["--json=/no/file"])
        #expect(unwritable.status == 1 && unwritable.errors.contains("could not write /no/file"))
        #expect([unknown, unreadable, unwritable].allSatisfy { $0.output.isEmpty })
    }

    @Test func oneProcessorIsTooFew() throws {
        let ended = try BenchProgram(Self.little, through: ["taskset", "--cpu-list", "0"])
        #expect(ended.status == 1 && ended.output.isEmpty)
        #expect(ended.errors.contains("could not take two processors: this process may run on one only"))
    }
}

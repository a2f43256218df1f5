// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import RingBench

@Suite struct BenchRecordTests {
    private let folder: ScratchFolder
    private var file: String { folder.path + "/record.json" }

    init() throws { folder = try ScratchFolder() }

    private func sample() -> BenchRecord {
        var record = Records.run(
            [Records.cell("stream", [("ring", [1.0625, 0.1, 3], [.near, .disturbed, .far])])], missing: ["a \"peer\""])
        record.cells[0].series[0].latencies[.near] = {
            var profile = LatencyProfile()
            profile.add([1, 300, 70_000])
            return profile
        }()
        record.guardCost = GuardValues(
            on: .init(rates: [1, 2], latencies: [3, 4]), off: .init(rates: [5, 6], latencies: [7, 8]))
        return record
    }

    @Test func whatIsWrittenIsRead() throws {
        let record = sample()
        try record.write(file)
        let read = try BenchRecord.read(file)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        #expect(try encoder.encode(read) == encoder.encode(record))
        #expect(read.cells[0].series[0].values == [1.0625, 0.1, 3])
        #expect(read.cells[0].series[0].regimes == [.near, .disturbed, .far])
        #expect(read.cells[0].series[0].latencies[.near]?.percentile(50) == 301)
        #expect(read.guardCost == record.guardCost && read.goals == record.goals && read.missing == record.missing)
    }

    private func reading(_ text: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return String(describing: try #require(throws: BenchError.self) { try BenchRecord.read(file) })
    }

    @Test func filesThatAreNone() throws {
        let ending = "name a file that `ringway-bench ring --json` has written"
        for text in ["", "{", "[]", "{}", "\u{0}\u{1}", "cell,contender"] {
            #expect(try reading(text) == "could not read \(file): it is no record of a run; \(ending)")
        }
        #expect(
            try reading("{\"version\": 7}")
                == "could not read \(file): it is of version 7, and this program writes 1; \(ending)")
        #expect(try reading("{\"version\": 1}").contains("it is not whole (there is no "))
        let missing = String(describing: try #require(throws: BenchError.self) { try BenchRecord.read("/no/file") })
        #expect(missing.hasPrefix("could not read /no/file: ") && missing.hasSuffix(ending))
    }

    @Test func filesThatSomebodyChanged() throws {
        try sample().write(file)
        let text = try String(contentsOfFile: file, encoding: .utf8)
        #expect(text.contains("\"near\",") && text.contains("1.0625,"))
        #expect(
            try reading(text.replacing("1.0625,", with: "")).contains("ring has 2 values and 3 regimes"))
        #expect(try reading(text.replacing("1.0625,", with: "\"1.0625\",")).contains("cells.0.series.0.values.0: "))
        #expect(try reading(text.replacing("\"near\",", with: "\"close\",")).contains("cells.0.series.0.regimes.0: "))
    }

    @Test func filesThatCannotBeWritten() throws {
        for (path, reason) in [("/no/file", "/no cannot be written"), (folder.path, "it is a folder")] {
            let error = String(describing: try #require(throws: BenchError.self) { try BenchFile.check(path) })
            #expect(error == "could not write \(path): \(reason); name another file")
        }
        #expect(throws: BenchError.self) { try sample().write("/no/file") }
        try BenchFile.check(file)
        #expect(!FileManager.default.fileExists(atPath: file))
        try BenchFile.makeFolder(folder.path + "/a/b")
        try sample().write(file)
        #expect(throws: BenchError.self) { try BenchFile.makeFolder(file + "/c") }
    }
}

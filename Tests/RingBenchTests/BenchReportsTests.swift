// SPDX-License-Identifier: Apache-2.0
import Foundation
import FoundationXML
import Testing

@testable import RingBench

/// What is made from a record: tables, values, plots.
@Suite struct BenchReportsTests {
    private let record: BenchRecord = {
        var latency = Records.cell("latency-64", lowerIsBetter: true, .near, [("ring", [100, 110, 120])])
        latency.series[0].add(Measurement(value: 130, regime: .near, latencies: [10, 20, 30, 40]))
        latency.series[0].add(Measurement(value: 5000, regime: .disturbed, latencies: [9999]))
        let small = Records.cell(
            "messages-64",
            [
                ("ring", [100, 120, 7, 50], [.near, .near, .mixed, .far]),
                ("a, \"b\" & <c>", [50, 40, 80, 10], [.near, .near, .near, .disturbed]),
            ])
        let large = Records.cell("messages-512", .near, [("ring", [10, 12, 14, 16]), ("other", [5, 5, 5, 5])])
        return Records.run([small, large, latency], missing: ["zeromq: no headers"])
    }()

    @Test func tables() {
        let text = BenchTable.text(record)
        #expect(
            text.contains(
                "P, 2 processors, Linux 6.1, commit 0123456789ab; 4 rounds in turns; 21 measurements, 3 discarded"))
        #expect(text.contains("missing: zeromq: no headers"))
        #expect(text.contains("cell messages-64, processors near; median (quartiles)"))
        #expect(text.contains("| ring | 110.0 (105.0 to 115.0) |  | 2 |"))
        // The third round counts for one of them alone: it is in no ratio.
        #expect(text.contains("| a, \"b\" & <c> | 50.0 (45.0 to 65.0) | 0.42 (0.38 to 0.46) | 3 |"))
        #expect(text.contains("cell messages-64, processors far; median (quartiles)"))
        #expect(text.contains("| ring | 50.0 (50.0 to 50.0) |  | 1 |"))
        #expect(!text.contains("messages-512, processors far"))
        // A discarded measurement's round trips are in no percentile.
        #expect(Array(record.cells[2].series[0].latencies.keys) == [.near])
        #expect(
            text.contains("| ns, not exceeded by | 50 % | 90 % | 99 % | 99.9 % | 99.99 % | largest | round trips |"))
        #expect(text.contains("| ring | 20 | 40 | 40 | 40 | 40 | 40 | 4 |"))
    }

    @Test func commaSeparatedValues() throws {
        let lines = BenchCSV.text(record).split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.first == "cell,contender,round,regime,value,unit" && lines.last == "")
        #expect(lines.count == 1 + 21 + 1)
        #expect(lines.contains("messages-64,ring,3,mixed,7.0,M/s"))
        #expect(lines.contains("messages-64,\"a, \"\"b\"\" & <c>\",4,disturbed,10.0,M/s"))
    }

    @Test func plots() throws {
        let plots = BenchPlots.all(record)
        #expect(plots.map(\.name) == ["throughput-near.svg", "latency-near.svg", "throughput-far.svg"])
        for (name, svg) in plots {
            let parser = XMLParser(data: Data(svg.utf8))
            #expect(parser.parse(), "\(name): \(String(describing: parser.parserError))")
            #expect(!svg.contains("nan") && !svg.contains("inf"))
        }
        let near = try #require(plots.first).svg
        for text in ["64 B", "512 B", "ring", "a, \"b\" &amp; &lt;c&gt;", "other"] {
            #expect(near.contains(">\(text)<"))
        }
        // 64 B at 110 M/s and 512 B at 13 are 7040 and 6656 MB/s: between the marks 100 and 10,000 they lie there.
        let places = near.matches(of: #/<circle cx="([0-9.]+)" cy="([0-9.]+)"/#).compactMap { Double($0.output.2) }
        func place(_ value: Double) -> Double { 460 - 410 * log10(value / 1000) }
        #expect(places.count == 4)
        #expect(abs(places[0] - place(7040)) < 0.1 && abs(places[1] - place(6656)) < 0.1)
    }

    @Test func moreLinesThanColoursAreToldApart() {
        let lines = (0..<16).map { LinePlot.Line(name: "\($0)", points: [(1, 1), (2, 2)]) }
        let axis = LinePlot.Axis(title: "", marks: [(1, "1"), (10, "10")])
        let svg = LinePlot(title: "", x: axis, y: axis, lines: lines).svg
        #expect(svg.matches(of: #/stroke-dasharray/#).count == 2 * (16 - 14))
    }
}

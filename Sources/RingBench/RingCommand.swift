// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BenchReport
import Foundation

struct RingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ring",
        abstract: "The ring, and the path through two agents, against their peers, in turns.",
        discussion: """
            Two processes, each on a processor of its own. Before and after each measurement a cache line goes to and \
            fro between them: that says how far the processors are from each other, and a measurement during which it \
            changed is discarded; so is one whose processes had to wait for their processors. docs/performance.md \
            says what each row means.
            """)

    @Option(help: "How often each contender has its turn.")
    var rounds = 12
    @Option(help: "How much of the usual work each turn does, in percent.")
    var work = 100
    @Option(help: "Only cells whose name has one of these words, such as messages-64; may be given again.")
    var only: [String] = []
    @Option(help: "Where the queues are that mk/bench-peers.sh has built.")
    var peers = ".build-bench/peers"
    @Option(help: "The agent: a built `ringway`; unless given, the one beside this program.")
    var agent: String?
    @Option(help: "Write everything that was measured, as JSON.")
    var json: String?
    @Option(help: "Write every measurement, as comma-separated values.")
    var csv: String?
    @Option(help: "Draw throughput by size and latency by percentile, as SVG, into this folder.")
    var plots: String?
    @Option(help: "A file that --json has written: say what has become worse since.")
    var compare: String?
    @Flag(help: "Exit with status 1 when a goal is missed or not measured, or something has become worse.")
    var strict = false

    func validate() throws {
        guard (1...1000).contains(rounds) else { throw ValidationError("--rounds is 1 to 1000") }
        guard (1...1000).contains(work) else { throw ValidationError("--work is 1 to 1000, in percent") }
    }

    func run() throws { try run { _ in } }

    /// - Parameter more: what else is measured, and judged with it.
    func run(_ more: (inout BenchRecord) throws -> Void) throws {
        // Before an hour's work: a file that cannot be read, or written, is told at once.
        let old = try compare.map(BenchRecord.read)
        try [json, csv].compactMap { $0 }.forEach(BenchFile.check)
        try plots.map(BenchFile.makeFolder)
        var record = try measure()
        try more(&record)
        print(([BenchTable.text(record)] + (record.guardCost.map { [$0.table] } ?? [])).joined(separator: "\n\n"))
        try json.map(record.write)
        try csv.map { try BenchFile.write(Data(BenchCSV.text(record).utf8), $0) }
        if let plots {
            for (name, svg) in BenchPlots.all(record) { try BenchFile.write(Data(svg.utf8), "\(plots)/\(name)") }
        }
        let comparison = old.map { BenchComparison(old: $0, new: record) }
        if let comparison { print("\n" + comparison.text(compare ?? "")) }
        print("\n\(record.goals.text)\n\n\(record.goals.closing)")
        if strict, !record.goals.isWhole || comparison?.regressions.isEmpty == false { throw ExitCode.failure }
    }

    private func measure() throws -> BenchRecord {
        let pair = try ProcessPair()
        let suite = BenchSuite(
            work: work, peers: peers, agent: agent ?? GuardCommand.agentBeside,
            processors: pair.processors)
        let cells = try suite.cells { id in only.isEmpty || only.contains { id.contains($0) } }
        guard !cells.isEmpty else {
            throw BenchError(
                tried: "find a cell with \(only.joined(separator: ", "))", happened: "there is none",
                remedy: "name one of \(BenchSuite.names.joined(separator: ", "))")
        }
        let matrix = Matrix(cells, pair)
        let isShown = isatty(2) == 1
        try matrix.run(rounds: rounds) { line in
            if isShown { FileHandle.standardError.write(Data("\r\u{1B}[K\(line)".utf8)) }
        }
        if isShown { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
        return BenchRecord(
            machine: .here(), rounds: rounds, work: work, cells: matrix.results, missing: suite.missing,
            goals: BenchGoals.table(matrix.results))
    }
}

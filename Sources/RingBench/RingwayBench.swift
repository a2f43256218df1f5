// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BenchReport
import Foundation

@main
struct RingwayBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ringway-bench",
        abstract: "Measures Ringway against its peers, in turns in one run, as ratios with their spread.",
        subcommands: [RingCommand.self, GuardCommand.self, AllCommand.self, ProgramCommand.self, DirectHalf.self])
}

struct GuardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "guard",
        abstract: "What the guard costs: two pairs of agents, one with it and one without, in turns.",
        discussion: """
            Two agents a pair, on this machine; programs that speak USB/IP in the place of the two kernels. Bulk is \
            what a disk does: command, 128 KiB of data, status, each a URB, one after the other. Latency is one \
            control request with 2 bytes of answer.
            """)

    @Option(help: "How often each of the two has its turn.")
    var rounds = 12
    @Option(help: "MiB read in each turn.")
    var megabytes = GuardCost.Work.usual.megabytes
    @Option(help: "Control requests in each turn.")
    var requests = GuardCost.Work.usual.requests
    @Option(help: "The agent: a built `ringway`; unless given, the one beside this program.")
    var agent: String?

    func validate() throws {
        guard (4...10_000).contains(rounds) else { throw ValidationError("--rounds is 4 to 10000") }
        guard (1...4096).contains(megabytes) else { throw ValidationError("--megabytes is 1 to 4096") }
        guard (10...1_000_000).contains(requests) else { throw ValidationError("--requests is 10 to 1000000") }
    }

    func run() throws {
        let work = GuardCost.Work(megabytes: megabytes, requests: requests)
        print(try Self.measure(agent, rounds, work).table)
    }

    static func measure(_ agent: String?, _ rounds: Int, _ work: GuardCost.Work) throws -> GuardValues {
        let cost = try GuardCost(agent: agent ?? agentBeside, work: work)
        return try cost.measure(rounds: rounds) { FileHandle.standardError.write(Data($0.utf8)) }
    }

    /// The `ringway` that was built with this program.
    static var agentBeside: String {
        URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent("ringway")
            .path
    }
}

struct AllCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "all", abstract: "Both, one after the other, with the goals of both.")

    @OptionGroup var ring: RingCommand

    func run() throws {
        try ring.run { record in
            let usual = GuardCost.Work.usual
            let work = GuardCost.Work(
                megabytes: max(1, usual.megabytes * ring.work / 100),
                requests: max(10, usual.requests * ring.work / 100))
            let values = try GuardCommand.measure(ring.agent, max(4, ring.rounds), work)
            record.guardCost = values
            record.goals = GoalTable(record.goals.results + values.goals)
        }
    }
}

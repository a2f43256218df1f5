// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Rig

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure USB over the ring against USB/IP over TCP, in turns in two virtual machines.",
        discussion: """
            The table is for standard output; read the ratios, since the rates are this machine's at that moment. What \
            is measured and how: docs/performance.md. Exit 0 whatever the goals come to, unless --strict is given.
            """)
    @OptionGroup var root: RootOption
    @OptionGroup var guests: ArchitectureOption
    @Option(help: "How often each contender has its turn at each kind of work, at least 3.")
    var rounds = 10
    @Option(help: "MiB that a turn moves in requests of 1 MiB.")
    var megabytes = 16
    @Option(help: "Small requests in a turn, of each kind.")
    var requests = 300
    @Option(help: "Seconds of a window in which the agents have nothing to do.")
    var idleSeconds = 10
    @Option(help: "The MTU of the virtual network cards.")
    var mtu = 1500
    @Option(
        name: .customLong("part"),
        help: "Measure this part only: idle, tcp, events, guard or geometry; may be given again.")
    var parts: [BenchSettings.Part] = []
    @Option(
        name: .customLong("set"), help: "A line of both agents' configuration, such as spin-us=50; may be given again.")
    var configuration: [String] = []
    @Option(help: "A file for all figures, every turn, as JSON.")
    var json: String?
    @Flag(help: "Exit 1 when a goal is missed or was not measured.")
    var strict = false

    func validate() throws {
        guard (3...1000).contains(rounds) else { throw ValidationError("--rounds is 3 to 1000") }
        guard (2...64).contains(megabytes) else { throw ValidationError("--megabytes is 2 to 64") }
        guard (10...512).contains(requests) else { throw ValidationError("--requests is 10 to 512") }
        guard (1...60).contains(idleSeconds) else { throw ValidationError("--idle-seconds is 1 to 60") }
        guard (576...65_535).contains(mtu) else { throw ValidationError("--mtu is 576 to 65535") }
    }

    func run() throws {
        if let json, !FileManager.default.createFile(atPath: json, contents: nil) {
            throw RigError(
                tried: "write \(json)", happened: "the file cannot be made", remedy: "name another one with --json")
        }
        let settings = BenchSettings(
            rounds: rounds, megabytes: megabytes, requests: requests, idleSeconds: idleSeconds, mtu: mtu,
            parts: parts.isEmpty ? BenchSettings.Part.allCases : parts, configuration: configuration)
        Cleanup.shared.installSignalHandlers()
        defer { Cleanup.shared.run() }
        let environment = RigEnvironment(root: root.url, architecture: guests.architecture)
        let bench = try BenchRun(settings, environment: environment)
        defer { bench.end() }
        let record = try bench.run()
        print(record.report)
        if let json { try record.json.write(to: URL(fileURLWithPath: json)) }
        if strict && !record.goals.isWhole { throw ExitCode.failure }
    }
}

extension BenchSettings.Part: ExpressibleByArgument {}

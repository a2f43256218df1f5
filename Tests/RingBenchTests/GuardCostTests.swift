// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import RingBench

/// The program as a whole, with little work: what it measures decides nothing here.
@Suite(.serialized) struct GuardCostTests {
    private func bench(_ words: [String]) throws -> BenchProgram { try BenchProgram(["guard"] + words) }

    @Test func aTableWithBothAndTheirRatio() throws {
        let ended = try bench(["--rounds=4", "--megabytes=1", "--requests=10"])
        #expect(ended.status == 0, "\(ended.errors)")
        let rows = ended.output.split(separator: "\n").filter { $0.hasPrefix("| ") }.dropFirst()
        #expect(rows.count == 2)
        for row in rows {
            let cells = row.split(separator: "|")
            #expect(cells.count == 4 && cells[1...].allSatisfy { $0.contains(#/[0-9.]+ \([0-9.]+ to [0-9.]+\)/#) })
        }
        #expect(try BenchProgram.leftovers(ended.process).isEmpty)
    }

    /// Also when it is killed at once: its agents have what it says its errors to, which ends with the last of them.
    @Test func nothingStaysBehind() throws {
        let process = Process()
        process.executableURL = BenchProgram.program
        process.arguments = ["guard", "--rounds=10000"]
        let errors = Pipe()
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        try process.run()
        var said = ""
        while !said.contains("round 1 ") {
            let more = errors.fileHandleForReading.availableData
            try #require(!more.isEmpty, "\(said)")
            said += String(decoding: more, as: UTF8.self)
        }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        var watched = pollfd(fd: errors.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
        // They may say something more, but not for long.
        let end = ContinuousClock.now + .seconds(60)
        repeat {
            try #require(poll(&watched, 1, 60_000) == 1 && ContinuousClock.now < end, "its agents go on")
        } while !errors.fileHandleForReading.availableData.isEmpty
        #expect(try BenchProgram.leftovers(process.processIdentifier).isEmpty)
    }

    @Test func anAgentThatIsNone() throws {
        let ended = try bench(["--agent=/no/such/agent"])
        #expect(ended.status == 1 && ended.errors.contains("could not start /no/such/agent"), "\(ended.errors)")
        #expect(ended.errors.contains("--agent"))
    }

    @Test(arguments: ["--rounds=3", "--megabytes=0", "--requests=9"])
    func numbersThatAreNotValid(_ flag: String) throws {
        let ended = try bench([flag])
        #expect(ended.status == 64 && ended.errors.contains(flag.prefix { $0 != "=" }), "\(ended.errors)")
    }

    @Test(arguments: [([1, 1, 1], 1.0), ([0.96, 0.94, 0.95], 0.95), ([0.949, 0.9, 1], 0.949)])
    func goalsOfBoth(_ ratios: [Double], _ median: Double) {
        let values = GuardValues(
            on: .init(rates: ratios.map { $0 * 512 }, latencies: ratios.map { 32 / $0 }),
            off: .init(rates: [512, 512, 512], latencies: [32, 32, 32]))
        #expect(values.goals.map { $0.ratio?.median } == [median, 1 / median])
        #expect(values.goals[0].verdict == (median >= 0.95 ? .met : .missed))
        #expect(values.goals[1].verdict == (1 / median <= 1.1 ? .met : .missed))
    }
}

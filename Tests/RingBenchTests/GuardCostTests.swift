// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The program as a whole, with little work: what it measures decides nothing here.
@Suite(.serialized) struct GuardCostTests {
    private struct Ended {
        let status: Int32
        let output: String
        let errors: String
    }

    private func bench(_ words: [String]) throws -> Ended {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("ringway-bench")
        process.arguments = ["guard"] + words
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        let complained = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Ended(
            status: process.terminationStatus, output: String(decoding: said, as: UTF8.self),
            errors: String(decoding: complained, as: UTF8.self))
    }

    @Test func aTableWithBothAndTheirRatio() throws {
        let ended = try bench(["--rounds=4", "--megabytes=1", "--requests=10"])
        #expect(ended.status == 0, "\(ended.errors)")
        let rows = ended.output.split(separator: "\n").filter { $0.hasPrefix("| ") }.dropFirst()
        #expect(rows.count == 2)
        for row in rows {
            let cells = row.split(separator: "|")
            #expect(cells.count == 4 && cells[1...].allSatisfy { $0.contains(#/[0-9.]+ \([0-9.]+ to [0-9.]+\)/#) })
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: "/dev/shm")
        #expect(!left.contains { $0.hasPrefix("ringway-bench-") })
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
}

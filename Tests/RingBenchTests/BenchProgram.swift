// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The built `ringway-bench`, run to its end.
struct BenchProgram {
    let process: Int32
    let status: Int32
    let output: String
    let errors: String

    static let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appendingPathComponent("ringway-bench")

    init(_ words: [String], through runner: [String] = []) throws {
        let program = Self.program.path
        let process = Process()
        process.executableURL = URL(fileURLWithPath: runner.isEmpty ? program : "/usr/bin/env")
        process.arguments = runner.isEmpty ? words : runner + [program] + words
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        let complained = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        self.process = process.processIdentifier
        status = process.terminationStatus
        self.output = String(decoding: said, as: UTF8.self)
        self.errors = String(decoding: complained, as: UTF8.self)
    }

    /// What a process has left in shared memory.
    static func leftovers(_ process: Int32) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/dev/shm")
            .filter { $0.hasPrefix("ringway-bench-\(process)-") }
    }
}

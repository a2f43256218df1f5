// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import GuestAgent

/// The program `ringway` as it was built beside the tests, run to its end.
struct RingwayProgram {
    var arguments: [String]
    var environment: [String: String] = [:]
    var directory: String?
    var program = Self.path

    static let path = Bundle.main.executableURL!.deletingLastPathComponent().appendingPathComponent("ringway").path

    struct Result {
        /// 128 + number for a signal.
        let status: Int32
        let output: String
        let errors: String
    }

    init(_ arguments: String...) { self.arguments = arguments }

    func run() throws -> Result {
        let folder = try ScratchFolder()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        process.standardInput = FileHandle.nullDevice
        // Files, not pipes: what a program prints cannot make it wait.
        process.standardOutput = FileHandle(forWritingAtPath: try folder.add("output", ""))
        process.standardError = FileHandle(forWritingAtPath: try folder.add("errors", ""))
        try process.run()
        process.waitUntilExit()
        let signalled = process.terminationReason == .uncaughtSignal
        return Result(
            status: process.terminationStatus + (signalled ? 128 : 0),
            output: try String(contentsOfFile: folder.path + "/output", encoding: .utf8),
            errors: try String(contentsOfFile: folder.path + "/errors", encoding: .utf8))
    }

    /// It refuses the arguments with 64, in one line that begins so, and prints no result.
    static func expectUsageError(_ arguments: [String], _ start: String) throws {
        var program = RingwayProgram()
        program.arguments = arguments
        let result = try program.run()
        #expect(result.status == ExitCode.usage.rawValue)
        #expect(result.output == "")
        #expect(result.errors.hasPrefix(start), "\(result.errors)")
        #expect(result.errors.filter { $0 == "\n" }.count == 1 && result.errors.hasSuffix("\n"))
    }
}

extension ScratchFolder {
    /// Writes a file and makes it executable, or not.
    @discardableResult
    func add(_ name: String, _ text: String, mode: Int = 0o644) throws -> String {
        let file = path + "/" + name
        try FileManager.default.createDirectory(
            atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
        return file
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// Where a probe finds an agent and leaves its listeners. The probe keeps it alive.
protocol RuntimeDirectory: AnyObject {
    var path: String { get }
}

extension ScratchFolder: RuntimeDirectory {}

/// The probe program, running.
final class Probe {
    let process = Process()
    private let output = Pipe()
    private let errors = Pipe()
    private let input = Pipe()
    private var unread = Data()
    private let runtimeDirectory: (any RuntimeDirectory)?

    /// - Parameters:
    ///   - runtimeDirectory: under the preload library with this runtime directory; nil: over TCP.
    ///   - more: what else is in its environment.
    init(
        _ variant: Variant, _ mode: String, _ family: IPFamily, port: UInt16, runtimeDirectory: (any RuntimeDirectory)?,
        timeoutMilliseconds: Int = 20_000, environment more: [String: String] = [:]
    ) throws {
        self.runtimeDirectory = runtimeDirectory
        let command = variant.command(preloaded: runtimeDirectory != nil)
        var environment = ProcessInfo.processInfo.environment
        environment.merge(variant.environment(preloaded: runtimeDirectory != nil)) { $1 }
        if let runtimeDirectory {
            environment["RINGWAY_RUNTIME_DIR"] = runtimeDirectory.path
            environment["RINGWAY_PORTS"] = "1:2,\(port)"
            environment["RINGWAY_CONNECT_TIMEOUT_MS"] = String(timeoutMilliseconds)
            if (runtimeDirectory as? AgentPair.Side)?.areProgramsDirect == true { environment["RINGWAY_DIRECT"] = "1" }
        }
        environment.merge(more) { $1 }
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst()) + [mode, family.rawValue, String(port)]
        if mode == "exec" || mode == "direct-exec" { process.arguments? += command }
        process.environment = environment
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = input
        try process.run()
    }

    /// Reads up to and with a line; false if the output ends before it. The probe bounds its own life.
    func wait(for line: String) -> Bool {
        let wanted = Data((line + "\n").utf8)
        while unread.range(of: wanted) == nil {
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { return false }
            unread.append(more)
        }
        return true
    }

    /// Whether it says a line so many times from here on: what it has said before does not count.
    func says(_ line: String, times: Int) -> Bool {
        let file = output.fileHandleForReading
        var said = pollfd(fd: file.fileDescriptor, events: Int16(POLLIN), revents: 0)
        while poll(&said, 1, 0) > 0 {
            let more = file.availableData
            guard !more.isEmpty else { return false }
            unread.append(more)
        }
        let start = unread.endIndex
        while unread[start...].split(separator: 10).filter({ $0.elementsEqual(line.utf8) }).count < times {
            let more = file.availableData
            guard !more.isEmpty else { return false }
            unread.append(more)
        }
        return true
    }

    /// Puts something into its standard input.
    func say(_ text: String) { input.fileHandleForWriting.write(Data(text.utf8)) }

    /// Everything that it prints until it ends, line by line, and what went to standard error.
    func finish() -> (lines: [String], errors: String, status: Int32) {
        input.fileHandleForWriting.closeFile()
        unread.append(output.fileHandleForReading.readDataToEndOfFile())
        let complaints = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let lines = String(decoding: unread, as: UTF8.self).split(separator: "\n").map(String.init)
        return (lines, String(decoding: complaints, as: UTF8.self), process.terminationStatus)
    }

    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Runs it from start to end.
    static func run(
        _ variant: Variant, _ mode: String, _ family: IPFamily, port: UInt16, runtimeDirectory: (any RuntimeDirectory)?,
        timeoutMilliseconds: Int = 20_000
    ) throws -> (lines: [String], errors: String, status: Int32) {
        try Probe(
            variant, mode, family, port: port, runtimeDirectory: runtimeDirectory,
            timeoutMilliseconds: timeoutMilliseconds
        ).finish()
    }
}

enum IPFamily: String, CaseIterable, Sendable {
    case v4 = "4"
    case v6 = "6"

    /// Whether this machine has the loopback of the family, so that TCP can be compared with.
    var isUsable: Bool { (try? TCPListener(self)) != nil }

    static let usable = allCases.filter(\.isUsable)
}

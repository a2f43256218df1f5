// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport
import Testing

/// Two agents of one architecture on this machine, whose sections are the halves of a shared file.
final class AgentPair {
    /// The side with the services, and the side whose programs connect to them.
    let serving: Side
    private(set) var connecting: Side
    private let memory: ScratchFolder
    private let variant: Variant
    private let isDirect: Bool
    private let channels: Int

    /// Returns when the link is up.
    /// - Parameters:
    ///   - isDirect: the agents let programs use the ring themselves.
    ///   - areProgramsDirect: those that are started with a side's directory would; nil: if they may.
    ///   - channels: a closed connection's channel is free when both agents have seen it: enough for every connection
    ///     that may wait for that on a busy machine.
    init(
        _ variant: Variant, isDirect: Bool = false, areProgramsDirect: Bool? = nil, channels: Int = 64
    ) throws {
        memory = try ScratchFolder()
        (self.variant, self.isDirect, self.channels) = (variant, isDirect, channels)
        let file = memory.path + "/memory"
        guard FileManager.default.createFile(atPath: file, contents: nil), truncate(file, 16 << 20) == 0 else {
            throw SystemFailure("truncate of \(file)")
        }
        serving = try Side("a", variant, memory, isDirect, channels)
        connecting = try Side("b", variant, memory, isDirect, channels)
        for side in [serving, connecting] { side.areProgramsDirect = areProgramsDirect ?? isDirect }
        for side in [serving, connecting] where !side.waitUntilUp() {
            throw AgentFailure(output: side.output)
        }
    }

    /// Kills the agent whose programs connect; another one takes its section over, in a directory of its own.
    func replaceConnecting() throws {
        let programs = connecting.areProgramsDirect
        for process in connecting.processes { kill(process, SIGKILL) }
        connecting = try Side("b", variant, memory, isDirect, channels)
        connecting.areProgramsDirect = programs
        guard connecting.waitUntilUp() else { throw AgentFailure(output: connecting.output) }
    }

    struct AgentFailure: Error, CustomStringConvertible {
        let output: String
        var description: String { "the agent ended before the link was up: \(output)" }
    }

    /// One agent, with a runtime directory of its own. It ends with the last reference.
    final class Side: RuntimeDirectory {
        private let folder: ScratchFolder
        private let memory: ScratchFolder
        private let command: [String]
        private let process = Process()
        private let errors = Pipe()
        private(set) var output = ""

        var path: String { folder.path }

        fileprivate(set) var areProgramsDirect = false

        fileprivate init(
            _ side: String, _ variant: Variant, _ memory: ScratchFolder, _ isDirect: Bool, _ channels: Int
        ) throws {
            self.memory = memory
            folder = try ScratchFolder()
            command = variant.agentCommand
            process.executableURL = URL(fileURLWithPath: command[0])
            process.arguments =
                command.dropFirst() + [
                    "agent", "--side", side, "--channels", String(channels), "--ring-size", "64K", "--opens-a", "0",
                    // What these programs say on USB/IP's port is none.
                    "--doorbell", "none", "--guard", "off", "--runtime-dir", folder.path,
                    "--section-a", "file:\(memory.path)/memory,offset=0,size=8M",
                    "--section-b", "file:\(memory.path)/memory,offset=8M,size=8M",
                ] + (isDirect ? ["--direct", "on"] : [])
            process.standardError = errors
            try process.run()
        }

        /// The agent's processes: itself, and what it has started.
        var processes: [Int32] {
            var all = [process.processIdentifier]
            var next = 0
            while next < all.count {
                let path = "/proc/\(all[next])/task/\(all[next])/children"
                let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
                all += text.split(separator: " ").compactMap { Int32($0) }
                next += 1
            }
            return all
        }

        /// What the agent says of itself.
        func status() throws -> [String: Any] {
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(fileURLWithPath: command[0])
            process.arguments = command.dropFirst() + ["status", "--json", "--runtime-dir", path]
            process.standardOutput = output
            try process.run()
            let text = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            guard let status = try JSONSerialization.jsonObject(with: text) as? [String: Any] else {
                throw AgentFailure(output: String(decoding: text, as: UTF8.self))
            }
            return status
        }

        func counter(_ name: String) throws -> Int {
            let counters = try #require(try status()["counters"] as? [String: Any])
            return try #require(counters[name] as? Int)
        }

        /// The numbers of those in use.
        func channels() throws -> [Int] {
            let channels = try #require(try status()["channels"] as? [[String: Any]])
            return channels.compactMap { $0["number"] as? Int }
        }

        /// Asks until the agent has no channel in use; the answers bound the wait.
        func isIdle() throws -> Bool {
            for _ in 0..<2_000 where try channels().isEmpty { return true }
            return false
        }

        /// Reads what the agent says until the link is up; false if it ends before.
        fileprivate func waitUntilUp() -> Bool {
            while !output.contains("link up") {
                let more = errors.fileHandleForReading.availableData
                guard !more.isEmpty else { return false }
                output += String(decoding: more, as: UTF8.self)
            }
            return true
        }

        deinit {
            process.terminate()
            process.waitUntilExit()
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What was measured on, and which commit.
struct Machine: Codable {
    let processor: String
    let processors: Int
    let kernel: String
    /// "unknown" outside a checkout; with a plus where the tree was changed.
    let commit: String
    let date: String

    static func here() -> Machine {
        let cpu = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let model = cpu.split(separator: "\n").first { $0.hasPrefix("model name") || $0.hasPrefix("CPU part") }
        let name = model?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
        let release = (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)) ?? "unknown"
        return Machine(
            processor: name ?? "unknown", processors: ProcessInfo.processInfo.processorCount,
            kernel: release.trimmingCharacters(in: .whitespacesAndNewlines), commit: commit(),
            date: ISO8601DateFormatter().string(from: Date()))
    }

    private static func commit() -> String {
        guard let commit = git(["rev-parse", "--short=12", "HEAD"]) else { return "unknown" }
        return git(["status", "--porcelain", "--untracked-files=no"]) == "" ? commit : commit + "+"
    }

    private static func git(_ words: [String]) -> String? {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["git"] + words
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return process.terminationStatus == 0 ? text.trimmingCharacters(in: .whitespacesAndNewlines) : nil
    }
}

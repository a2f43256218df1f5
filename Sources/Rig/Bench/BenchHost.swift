// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What a benchmark ran on.
struct BenchHost: Codable, Equatable, Sendable {
    /// As /proc/cpuinfo calls it.
    let processor: String
    let processors: Int
    let hostKernel: String
    let architecture: String
    let accelerator: String
    /// Of each guest.
    let guestProcessors: Int
    let guestKernel: String
    let qemu: String
    /// nil outside of a repository; with "+" where files were changed.
    let commit: String?

    /// - Parameter guestKernel: what `uname -r` says in a guest.
    init(_ environment: RigEnvironment, accelerator: Accelerator, guestKernel: String) {
        let facts = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        processor = Self.processor(in: facts)
        processors = ProcessInfo.processInfo.activeProcessorCount
        hostKernel = Self.words("uname", ["-r"]) ?? "unknown"
        architecture = environment.architecture.rawValue
        self.accelerator = accelerator == .kvm ? "kvm" : "tcg"
        guestProcessors = 1
        self.guestKernel = guestKernel
        qemu = Self.words("qemu-system-\(environment.architecture.rawValue)", ["--version"]) ?? "unknown"
        let root = ["-C", environment.root.path]
        let commit = Self.words("git", root + ["rev-parse", "--short=12", "HEAD"])
        let changes = Self.words("git", root + ["status", "--porcelain", "--untracked-files=no"])
        self.commit = commit.map { changes == nil ? $0 : "\($0)+" }
    }

    /// The model of the first processor; arm64's kernel has none.
    static func processor(in facts: String) -> String {
        let line = facts.split(separator: "\n").first { $0.hasPrefix("model name") }
        guard let name = line?.split(separator: ":", maxSplits: 1).last else { return "unknown" }
        return name.trimmingCharacters(in: .whitespaces)
    }

    /// The first line that a program prints; nil where it fails, or prints none.
    private static func words(_ program: String, _ arguments: [String]) -> String? {
        guard let output = try? HostCommand(program, arguments).run(), output.status == 0 else { return nil }
        return output.text.split(separator: "\n").first.map(String.init)
    }

    var text: String {
        "\(processors) × \(processor); \(qemu), \(accelerator), \(guestProcessors) processor a guest; "
            + "guests \(architecture), Linux \(guestKernel); commit \(commit ?? "unknown")"
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// One way to run the probe under the preload library: an architecture and a libc.
struct Variant: CustomTestStringConvertible, Sendable {
    let architecture: String
    let libc: String

    static let all = ["x86_64", "aarch64"].flatMap { architecture in
        ["glibc", "musl"].map { Variant(architecture: architecture, libc: $0) }
    }

    /// Those that are built and that this machine can run; the others are reported by `BuiltTests`.
    static let built = all.filter(\.isBuilt)

    /// The architectures whose agent is built, each with glibc's programs.
    static let agents = built.filter {
        $0.libc == "glibc" && FileManager.default.fileExists(atPath: $0.agentCommand.last ?? "")
    }

    var testDescription: String { "\(architecture) \(libc)" }

    private static let guest = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent(".build-guest").path

    var library: String { "\(Self.guest)/\(architecture)/libringway-preload.so" }
    private var probe: String { "\(Self.guest)/\(architecture)/tests/probe-\(libc)" }
    private var loader: String { "\(Self.guest)/sysroot/\(architecture)/musl/libc.so" }
    private var emulator: String { "/usr/bin/qemu-\(architecture)-static" }

    #if arch(x86_64)
    var isNative: Bool { architecture == "x86_64" }
    #else
    var isNative: Bool { architecture == "aarch64" }
    #endif

    var isBuilt: Bool {
        ([library, probe] + (libc == "musl" ? [loader] : []) + (isNative ? [] : [emulator]))
            .allSatisfy { FileManager.default.fileExists(atPath: $0) }
    }

    func hasSameAgent(as other: Variant) -> Bool { architecture == other.architecture }

    /// The words that start the agent. It is static: no libc of its machine is needed.
    var agentCommand: [String] { (isNative ? [] : [emulator]) + ["\(Self.guest)/\(architecture)/ringway"] }

    /// The words that start the probe, preloaded or not.
    func command(preloaded: Bool) -> [String] {
        let program = libc == "musl" ? [loader, probe] : [probe]
        guard !isNative else { return program }
        // A root for the emulated loader, which glibc's has in a fixed place.
        let root = libc == "glibc" ? ["-L", "/usr/\(architecture)-linux-gnu"] : []
        return [emulator] + root + (preloaded ? ["-E", "LD_PRELOAD=\(library)"] : []) + program
    }

    /// What the environment must say for it; the emulator itself must not be preloaded.
    func environment(preloaded: Bool) -> [String: String] {
        preloaded && isNative ? ["LD_PRELOAD": library] : [:]
    }
}

// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

/// A server of its own port, and the programs that connect to it.
final class ProbeServer {
    let probe: Probe
    private let variant: Variant
    private let port: UInt16
    private let pair: AgentPair

    init(_ variant: Variant, _ mode: String, _ pair: AgentPair) throws {
        (self.variant, self.pair) = (variant, pair)
        port = try TCPListener.freePort(.v4)
        probe = try Probe(variant, mode, .v4, port: port, runtimeDirectory: pair.serving)
        #expect(probe.wait(for: "READY"))
    }

    func client(_ mode: String, _ environment: [String: String] = [:]) throws -> Probe {
        try Probe(variant, mode, .v4, port: port, runtimeDirectory: pair.connecting, environment: environment)
    }

    /// Runs one from start to end.
    func talk(
        _ mode: String, _ environment: [String: String] = [:]
    ) throws -> (lines: [String], errors: String, status: Int32) {
        try client(mode, environment).finish()
    }

    deinit { if probe.process.isRunning { probe.kill() } }
}

// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

/// Programs under the preload library, two agents and two sections: all of a guest but its kernel.
@Suite(.enabled(if: !Variant.agents.isEmpty, "`make guest probes` has not been run"))
struct PairTests {
    @Test("client and server see across two agents what they see over TCP", arguments: Variant.agents)
    func transcripts(_ variant: Variant) throws {
        let port = try TCPListener.freePort(.v4)
        let overTCP = try converse(variant, port: port, server: nil, client: nil)
        let pair = try AgentPair(variant)
        let overRing = try converse(variant, port: port, server: pair.serving, client: pair.connecting)
        #expect(overRing.client == overTCP.client)
        #expect(overRing.server == overTCP.server)
        #expect(overTCP.client.contains("echo: hello"))
    }

    /// The server ends after its second connection.
    private func converse(
        _ variant: Variant, port: UInt16, server: (any RuntimeDirectory)?, client: (any RuntimeDirectory)?
    ) throws -> (client: [String], server: [String]) {
        let service = try Probe(variant, "server", .v4, port: port, runtimeDirectory: server)
        guard service.wait(for: "READY") else { return ([], service.finish().lines) }
        let first = try Probe.run(variant, "client", .v4, port: port, runtimeDirectory: client)
        _ = try Probe.run(variant, "quiet", .v4, port: port, runtimeDirectory: client)
        return (first.lines, service.finish().lines)
    }

    @Test("nobody listens at the peer: ECONNREFUSED, as over TCP", arguments: Variant.agents)
    func refused(_ variant: Variant) throws {
        let port = try TCPListener.freePort(.v4)
        let overTCP = try Probe.run(variant, "refused", .v4, port: port, runtimeDirectory: nil)
        let pair = try AgentPair(variant)
        let overRing = try Probe.run(variant, "refused", .v4, port: port, runtimeDirectory: pair.connecting)
        #expect(overRing.lines == overTCP.lines)
        #expect(overRing.errors.hasPrefix("ringway: connection to service \(port): "))
    }

    @Test("a connection that is not waited for, across two agents, as over TCP", arguments: Variant.agents)
    func connecting(_ variant: Variant) throws {
        let listener = try TCPListener(.v4)
        listener.echoForEver()
        let overTCP = try Probe.run(variant, "connecting", .v4, port: listener.port, runtimeDirectory: nil)
        let pair = try AgentPair(variant)
        let service = try EchoService(pair.serving, port: listener.port)
        let overRing = try Probe.run(
            variant, "connecting", .v4, port: listener.port, runtimeDirectory: pair.connecting)
        #expect(overRing.lines == overTCP.lines)
        #expect(service.connections == 1)
        let port = try TCPListener.freePort(.v4)
        let refusedByTCP = try Probe.run(variant, "connecting", .v4, port: port, runtimeDirectory: nil)
        let refused = try Probe.run(variant, "connecting", .v4, port: port, runtimeDirectory: pair.connecting)
        #expect(refused.lines == refusedByTCP.lines)
    }

    @Test("four threads share the channels", arguments: Variant.agents)
    func threads(_ variant: Variant) throws {
        let pair = try AgentPair(variant)
        let service = try EchoService(pair.serving, port: 3240)
        let result = try Probe.run(variant, "threads", .v4, port: 3240, runtimeDirectory: pair.connecting)
        #expect(result.lines == ["200 connections, 0 wrong"])
        #expect(result.errors == "")
        #expect(service.connections == 200)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Two programs that talk, each under the preload library with an agent of its own, see what they see over TCP:
/// results, errors, poll bits, and their order.
@Suite(.enabled(if: !Variant.agents.isEmpty, "`make guest probes` has not been run"))
struct ConformanceTests {
    static let cases = ShimTests.cases.filter { this in Variant.agents.contains { $0.hasSameAgent(as: this.variant) } }

    @Test("a connection, from its first byte to either kind of end", arguments: cases, [false, true])
    func streams(_ this: ShimTests.Case, isDirect: Bool) throws {
        let overTCP = try talk(this, "streams", nil)
        let overRing = try talk(this, "streams", AgentPair(this.variant, isDirect: isDirect))
        #expect(differences(overRing.client, overTCP.client) == [])
        #expect(differences(overRing.server, overTCP.server) == [])
        #expect(overTCP.client.contains("-- watched") && overTCP.server.contains("recv: ECONNRESET"))
    }

    @Test("listeners: backlog, closing, several that accept, a shared port", arguments: cases, [false, true])
    func listeners(_ this: ShimTests.Case, isDirect: Bool) throws {
        let overTCP = try talk(this, "listeners", nil)
        let overRing = try talk(this, "listeners", AgentPair(this.variant, isDirect: isDirect))
        #expect(differences(overRing.client, overTCP.client) == [])
        #expect(differences(overRing.server, overTCP.server) == [])
        #expect(overTCP.server.contains("accepted: 6") && overTCP.client.contains("recv: ECONNRESET"))
    }

    /// The lines that are not the same, and where.
    private func differences(_ ring: [String], _ tcp: [String]) -> [String] {
        (0..<max(ring.count, tcp.count)).compactMap { line in
            let (left, right) = (ring.dropFirst(line).first ?? "nothing", tcp.dropFirst(line).first ?? "nothing")
            return left == right ? nil : "line \(line): over the ring \(left), over TCP \(right)"
        }
    }

    private func talk(
        _ this: ShimTests.Case, _ mode: String, _ pair: AgentPair?
    ) throws -> (client: [String], server: [String]) {
        let port = try TCPListener.freePort(this.family)
        let step = try ScratchFolder()
        for name in ["client", "server"] where mkfifo("\(step.path)/\(name)", 0o600) != 0 {
            throw SystemFailure("mkfifo in \(step.path)")
        }
        var environment = ["PROBE_SYNC": step.path]
        if !this.variant.isNative { environment["PROBE_EMULATED"] = "1" }
        let server = try Probe(
            this.variant, mode + "-server", this.family, port: port, runtimeDirectory: pair?.serving,
            environment: environment)
        if mode == "streams" { guard server.wait(for: "READY") else { return ([], server.finish().lines) } }
        let client = try Probe(
            this.variant, mode, this.family, port: port, runtimeDirectory: pair?.connecting, environment: environment)
        return (client.finish().lines, server.finish().lines)
    }
}

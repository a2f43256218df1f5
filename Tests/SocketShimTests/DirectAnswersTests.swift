// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

/// What a program in direct mode is told is what it is told without it.
@Suite(.enabled(if: !Variant.agents.isEmpty, "`make guest probes` has not been run"))
struct DirectAnswersTests {
    static let variants = DirectModeTests.native

    @Test("what has come is seen by every call that asks for it", arguments: variants, [false, true])
    func asks(_ variant: Variant, isDirect: Bool) throws {
        let pair = try AgentPair(variant, isDirect: true, areProgramsDirect: isDirect)
        let port = try TCPListener.freePort(.v4)
        let server = try Probe(variant, "direct-echo", .v4, port: port, runtimeDirectory: pair.serving)
        #expect(server.wait(for: "READY"))
        let client = try Probe.run(variant, "direct-asks", .v4, port: port, runtimeDirectory: pair.connecting)
        #expect(
            client.lines == [
                "poll: 1", "poll, wide: 1", "select: 1", "epoll: 1", "FIONREAD: 90", "MSG_PEEK: 90", "recvmsg: 90",
                "readv: 90", "poll of a copy: 1", "O_ASYNC, poll: 1",
            ], "\(client.errors)")
        #expect(server.finish().status == 0)
    }

    @Test("who leaves bytes unread resets the connection", arguments: variants, [false, true])
    func leaves(_ variant: Variant, isDirect: Bool) throws {
        let pair = try AgentPair(variant, isDirect: true, areProgramsDirect: isDirect)
        let port = try TCPListener.freePort(.v4)
        let server = try Probe(variant, "direct-leaves", .v4, port: port, runtimeDirectory: pair.serving)
        #expect(server.wait(for: "READY"))
        let client = try Probe.run(variant, "direct-left", .v4, port: port, runtimeDirectory: pair.connecting)
        #expect(client.lines == Array(repeating: "read: ECONNRESET", count: 6), "\(client.errors)")
        #expect(server.finish().status == 0)
    }
}

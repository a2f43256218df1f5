// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What a program in direct mode is told is what it is told without it.
@Suite(.enabled(if: !Variant.agents.isEmpty, "`make guest probes` has not been run"))
struct DirectAnswersTests {
    static let variants = DirectModeTests.native

    @Test("what has come is seen by every call that asks for it", arguments: variants, [false, true])
    func asks(_ variant: Variant, isDirect: Bool) throws {
        let pair = try AgentPair(variant, isDirect: true, areProgramsDirect: isDirect)
        let server = try ProbeServer(variant, "direct-echo", pair)
        let client = try server.talk("direct-asks")
        #expect(
            client.lines == [
                "poll: 1", "poll, wide: 1", "select: 1", "epoll: 1", "FIONREAD: 90", "MSG_PEEK: 90", "recvmsg: 90",
                "readv: 90", "poll of a copy: 1", "O_ASYNC, poll: 1",
            ], "\(client.errors)")
        #expect(server.probe.finish().status == 0)
    }

    @Test("who leaves bytes unread resets the connection", arguments: variants, [false, true])
    func leaves(_ variant: Variant, isDirect: Bool) throws {
        let pair = try AgentPair(variant, isDirect: true, areProgramsDirect: isDirect)
        let server = try ProbeServer(variant, "direct-leaves", pair)
        let client = try server.talk("direct-left")
        #expect(client.lines == Array(repeating: "read: ECONNRESET", count: 6), "\(client.errors)")
        #expect(server.probe.finish().status == 0)
    }

    /// The agent finds the end and the late byte at once.
    @Test("what comes for one that has left in order does not spoil its end", arguments: variants, [false, true])
    func late(_ variant: Variant, isDirect: Bool) throws {
        let pair = try AgentPair(variant, isDirect: true, areProgramsDirect: isDirect)
        let server = try ProbeServer(variant, "direct-closes", pair)
        let client = try server.client("direct-late")
        #expect(client.wait(for: "ready"))
        for process in pair.serving.processes { kill(process, SIGSTOP) }
        server.probe.say("x")
        #expect(server.probe.wait(for: "closed"))
        client.say("x")
        #expect(client.wait(for: "write: ok"))
        for process in pair.serving.processes { kill(process, SIGCONT) }
        #expect(client.finish().lines.last == "read: 0")
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Programs that use the ring of their connection themselves, on both sides, and what becomes of their bytes when they
/// do what direct mode cannot serve.
@Suite(.enabled(if: !Variant.agents.isEmpty, "`make guest probes` has not been run"))
struct DirectModeTests {
    static let variants = Variant.built.filter { this in Variant.agents.contains { $0.hasSameAgent(as: this) } }
    static let native = variants.filter(\.isNative)

    static let threeTimes = Array(repeating: "20971520 back, then the end", count: 3)

    @Test("whatever comes in the midst, no byte is lost, doubled or out of place", arguments: variants)
    func ways(_ variant: Variant) throws {
        let pair = try AgentPair(variant, isDirect: true)
        // qemu's vfork is fork.
        let lines = try talk(variant, "direct", pair).lines.filter {
            variant.isNative || !$0.hasPrefix("vfork's child")
        }
        #expect(lines.count == 27 && lines.allSatisfy { $0.hasSuffix(": all, then the end") }, "\(lines)")
        for side in [pair.serving, pair.connecting] { #expect(try side.counter("connections-direct") == 27) }
    }

    @Test("a stream's bytes go past the agents", arguments: native.filter { $0.libc == "glibc" })
    func pastTheAgents(_ variant: Variant) throws {
        let pair = try AgentPair(variant, isDirect: true)
        #expect(
            try talk(variant, "direct-threads", pair).lines == Self.threeTimes
        )
        // How much of it depends on what else the machine does; all of it has never been seen.
        let moved = try pair.serving.counter("bytes-in") + pair.serving.counter("bytes-out")
        #expect(moved < 6 * 20_971_520)
        #expect(try pair.serving.counter("connections-direct") == 3)
    }

    @Test("it takes the agent's and the program's word", arguments: native, [false, true])
    func offByDefault(_ variant: Variant, isAgentDirect: Bool) throws {
        let pair = try AgentPair(variant, isDirect: isAgentDirect, areProgramsDirect: false)
        let result = try talk(variant, "direct-threads", pair, isAgentDirect ? [:] : ["RINGWAY_DIRECT": "1"])
        #expect(result.lines.count == 3 && result.errors == "")
        #expect(try pair.serving.counter("connections-direct") == 0)
    }

    @Test("USB/IP's port is the agents'", arguments: native)
    func usbip(_ variant: Variant) throws {
        let pair = try AgentPair(variant, isDirect: true)
        let port = try TCPListener.freePort(.v4)
        let result = try talk(variant, "direct-threads", pair, ["RINGWAY_PORTS": "\(port):3240"], port: port)
        #expect(result.lines.count == 3)
        #expect(try pair.serving.counter("connections-direct") == 0)
        #expect(try pair.connecting.counter("connections-direct") == 0)
    }

    @Test("a program that is killed leaves nothing behind", arguments: native.filter { $0.libc == "glibc" })
    func killed(_ variant: Variant) throws {
        let pair = try AgentPair(variant, isDirect: true)
        let echo = try ProbeServer(variant, "direct-echo", pair)
        for _ in 0..<40 {
            let client = try echo.client("direct-flood")
            #expect(client.wait(for: "more"))
            client.kill()
        }
        let last = try echo.talk("direct-threads")
        #expect(last.lines == Self.threeTimes)
        #expect(try pair.connecting.isIdle() && pair.serving.isIdle())
        #expect(echo.probe.finish().status == 0)
    }

    @Test(
        "a program that dies in the midst of a copy, too", arguments: native.filter { $0.libc == "glibc" },
        [false, true])
    func diesInAHold(_ variant: Variant, reads: Bool) throws {
        let pair = try AgentPair(variant, isDirect: true)
        let echo = try ProbeServer(variant, "direct-echo", pair)
        for _ in 0..<10 {
            let client = try echo.client("direct-death", reads ? ["PROBE_READS": "1"] : [:])
            let end = client.finish()
            #expect(end.lines == [] && end.status == SIGKILL, "it did not copy, or copied elsewhere")
        }
        #expect(try pair.connecting.isIdle() && pair.serving.isIdle())
        let last = try echo.talk("direct-threads")
        #expect(last.lines == Self.threeTimes)
        #expect(echo.probe.finish().status == 0)
    }

    @Test("a program that writes into the page harms nobody else", arguments: native.filter { $0.libc == "glibc" })
    func scribbles(_ variant: Variant) throws {
        let pair = try AgentPair(variant, isDirect: true)
        let echo = try ProbeServer(variant, "direct-echo", pair)
        let honest = try echo.client("direct-flood")
        #expect(honest.wait(for: "more"))
        let hostile = try echo.talk("direct-scribble")
        #expect(hostile.lines.last == "pages: 40", "\(hostile)")
        // Said after all that: every byte before was right.
        #expect(honest.says("more", times: 4))
        #expect(honest.process.isRunning)
        honest.kill()
        #expect(try pair.connecting.counter("connections-direct") == 41)
        #expect(echo.probe.finish().status == 0)
    }

    @Test("an agent that is lost ends the connection", arguments: native.filter { $0.libc == "glibc" })
    func lostAgent(_ variant: Variant) throws {
        let pair = try AgentPair(variant, isDirect: true)
        let echo = try ProbeServer(variant, "direct-echo", pair)
        let client = try echo.client("direct-flood")
        #expect(client.wait(for: "more"))
        for process in pair.connecting.processes { kill(process, SIGKILL) }
        let end = client.finish()
        #expect(end.status == 1 && end.lines.last.map { $0.contains("ECONNRESET") || $0.contains("EPIPE") } == true)
        #expect(echo.probe.finish().status == 0)
    }

    @Test("a ring is given to nobody from before another agent", arguments: native.filter { $0.libc == "glibc" })
    func anotherAgent(_ variant: Variant) throws {
        let pair = try AgentPair(variant, isDirect: true)
        let echo = try ProbeServer(variant, "direct-echo", pair)
        let before = try echo.client("direct-stale")
        #expect(before.wait(for: "more"))
        try pair.replaceConnecting()
        // The first connection of this agent, too, and on the same channel.
        let next = try echo.client("direct-flood")
        #expect(next.wait(for: "more"))
        #expect(before.finish().lines.last == "send: EPIPE")
        #expect(next.says("more", times: 4))
        #expect(try pair.connecting.counter("connections-direct") == 1)
        next.kill()
        #expect(echo.probe.finish().status == 0)
    }

    private func talk(
        _ variant: Variant, _ mode: String, _ pair: AgentPair, _ environment: [String: String] = [:],
        port given: UInt16? = nil
    ) throws -> (lines: [String], errors: String, status: Int32) {
        let port = try given ?? TCPListener.freePort(.v4)
        let server = try Probe(
            variant, "direct-echo", .v4, port: port, runtimeDirectory: pair.serving, environment: environment)
        #expect(server.wait(for: "READY"))
        let client = try Probe(
            variant, mode, .v4, port: port, runtimeDirectory: pair.connecting, environment: environment)
        let result = client.finish()
        _ = server.finish()
        return result
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Programs in direct mode that keep an end of their ring longer than their connection, or that do beside it what the
/// agent must not mind: what becomes of their channel, of the others, and of the bytes.
@Suite(.enabled(if: !Variant.agents.isEmpty, "`make guest probes` has not been run"))
struct DirectEndsTests {
    static let native = DirectModeTests.native
    /// Where a program can be stopped in the midst of a copy.
    static let copying = native.filter { $0.libc == "glibc" }

    /// What becomes of a connection while its program is in the midst of a copy.
    struct Way: CustomTestStringConvertible, Sendable {
        let closes: Bool
        let isReset: Bool
        let reads: Bool

        var testDescription: String {
            (reads ? "reads" : "sends") + (closes ? ", its socket is closed" : "") + (isReset ? ", is reset" : "")
        }

        var environment: [String: String] {
            (closes ? ["PROBE_CLOSES": "1"] : [:]).merging(reads ? ["PROBE_READS": "1"] : [:]) { $1 }
        }

        static let all = [
            Way(closes: true, isReset: false, reads: false), Way(closes: false, isReset: true, reads: false),
            Way(closes: true, isReset: true, reads: false), Way(closes: false, isReset: true, reads: true),
            Way(closes: true, isReset: true, reads: true),
        ]
    }

    @Test("a channel is not used while a program may still be copying", arguments: copying, Way.all)
    func outlived(_ variant: Variant, way: Way) throws {
        let pair = try AgentPair(variant, isDirect: true)
        let behind = try ProbeServer(variant, "direct-behind", pair)
        let echo = try ProbeServer(variant, "direct-echo", pair)
        let held = try behind.client("direct-held", way.environment)
        #expect(held.wait(for: "held"))
        if way.isReset {
            behind.probe.say("x")
            #expect(try pair.connecting.isIdle())
        }
        let next = try echo.client("direct-flood")
        #expect(next.says("more", times: 4))
        #expect(try pair.connecting.channels() == (way.isReset ? [1] : [0, 1]))
        #expect(held.finish().lines.last == "went on")
        #expect(next.says("more", times: 4))
        next.kill()
        behind.probe.kill()
        #expect(try pair.connecting.isIdle() && pair.serving.isIdle())
        let last = try echo.client("direct-flood")
        #expect(last.says("more", times: 4))
        #expect(try pair.connecting.channels() == [0] && pair.connecting.counter("connections-direct") == 3)
        last.kill()
    }

    @Test("a program that dies in the midst of a copy costs no channel", arguments: copying, Way.all)
    func diesOften(_ variant: Variant, way: Way) throws {
        let pair = try AgentPair(variant, isDirect: true, channels: 2)
        let behind = try ProbeServer(variant, "direct-behind", pair)
        for _ in 0..<4 {
            let held = try behind.client("direct-held", way.environment)
            guard held.wait(for: "held") else {
                Issue.record("\(held.finish())")
                break
            }
            if way.isReset {
                behind.probe.say("x")
                #expect(try pair.connecting.isIdle())
            }
            held.kill()
            if !way.isReset { behind.probe.say("x") }
            #expect(try pair.connecting.isIdle() && pair.serving.isIdle())
        }
        behind.probe.kill()
        let echo = try ProbeServer(variant, "direct-echo", pair)
        #expect(try echo.talk("direct-threads").lines == DirectModeTests.threeTimes)
        #expect(try pair.connecting.counter("connections-direct") == 7)
    }

    @Test("what stands for a socket before it is connected keeps its bytes with the agent", arguments: native)
    func before(_ variant: Variant) throws {
        let pair = try AgentPair(variant, isDirect: true)
        let client = try ProbeServer(variant, "direct-echo", pair).talk("direct-before")
        let all = ["dup", "epoll", "SO_RCVLOWAT", "O_ASYNC"].map { "\($0): 0 behind, then the end" }
        #expect(client.lines == all, "\(client.errors)")
        #expect(try pair.connecting.counter("connections-direct") == 0)
        #expect(try pair.serving.counter("connections-direct") == 4)
    }

    @Test("a program that becomes another one leaves it every byte", arguments: native)
    func becomesAnother(_ variant: Variant) throws {
        let pair = try AgentPair(variant, isDirect: true)
        let client = try ProbeServer(variant, "direct-echo", pair).talk("direct-exec")
        let ways = ["exec", "fork, exec", "vfork, exec", "clone, exec"] + (copies(variant) ? ["exec in a copy"] : [])
        // Nobody knows what a reader took that has gone in the midst of it.
        let torn = copies(variant) ? ["read: ECONNRESET"] : []
        #expect(client.lines == ways.map { "\($0): all, then the end" } + torn, "\(client.errors)")
        #expect(try pair.connecting.counter("connections-direct") == ways.count + torn.count)
        #expect(try pair.connecting.isIdle() && pair.serving.isIdle())
    }

    private func copies(_ variant: Variant) -> Bool { variant.libc == "glibc" }

    @Test(
        "what a program does to the stream that wakes the agent stops nobody's bytes", arguments: native,
        ["PROBE_FILLS", "PROBE_PUTS", "PROBE_CLOSES"])
    func kicks(_ variant: Variant, way: String) throws {
        let pair = try AgentPair(variant, isDirect: true)
        let echo = try ProbeServer(variant, "direct-echo", pair)
        let honest = try echo.client("direct-flood")
        for _ in 0..<3 {
            let other = try echo.client("direct-kicks", [way: "1"])
            #expect(other.says("done", times: 1))
            #expect(honest.says("more", times: 4))
            #expect(other.finish().status == 0)
        }
        #expect(try echo.talk("direct-threads").lines == DirectModeTests.threeTimes)
        #expect(try pair.connecting.counter("connections-direct") == 7)
        honest.kill()
    }

    @Test("an end in order is never a reset", arguments: native)
    func farewells(_ variant: Variant) throws {
        let pair = try AgentPair(variant, isDirect: true)
        let client = try ProbeServer(variant, "direct-farewell", pair).talk("direct-farewells")
        #expect(client.lines == ["whole: 400"], "\(client.errors)")
        #expect(try pair.connecting.counter("connections-reset") == 0)
    }
}

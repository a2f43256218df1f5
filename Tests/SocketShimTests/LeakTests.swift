// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Many connections leave nothing behind: no descriptor, no channel, no memory, in programs and in agents.
@Suite(.enabled(if: !Variant.agents.isEmpty, "`make guest probes` has not been run"))
struct LeakTests {
    @Test(
        "1,000 connections in turn, and 64 at once of which one is not read",
        arguments: Variant.agents.filter(\.isNative), [false, true])
    func many(_ variant: Variant, isDirect: Bool) throws {
        let pair = try AgentPair(variant, isDirect: isDirect)
        // What is allocated once is there after the first round.
        try round(variant, pair)
        let before = try [pair.serving, pair.connecting].map(Footprint.init)
        try round(variant, pair)
        let after = try [pair.serving, pair.connecting].map(Footprint.init)
        for (before, after) in zip(before, after) {
            #expect(after.descriptors == before.descriptors)
            #expect(after.kilobytes <= before.kilobytes + 16, "1,064 connections left memory behind")
        }
    }

    /// Returns when no channel is in use any more.
    private func round(_ variant: Variant, _ pair: AgentPair) throws {
        let left = "descriptors left: 0"
        let port = try TCPListener.freePort(.v4)
        let server = try Probe(variant, "many-server", .v4, port: port, runtimeDirectory: pair.serving)
        #expect(server.wait(for: "READY"))
        let client = try Probe.run(variant, "many", .v4, port: port, runtimeDirectory: pair.connecting)
        #expect(
            client.lines == [
                "in turn: 1000", "at once, beside one that is not read: 63", left,
            ], "\(client.errors)")
        // The server closes each connection when its end arrives, so it has none left when all channels are free.
        for side in [pair.serving, pair.connecting] { #expect(try side.isIdle()) }
        #expect(server.finish().lines.suffix(2) == ["accepted: 1064", left])
    }
}

/// What an agent's processes hold.
private struct Footprint {
    var descriptors = 0
    var kilobytes = 0

    init(_ side: AgentPair.Side) throws {
        for process in side.processes {
            descriptors += try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
            let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
            for line in status.split(separator: "\n") where line.hasPrefix("RssAnon:") {
                kilobytes += Int(line.split(whereSeparator: { !$0.isNumber })[0]) ?? 0
            }
        }
    }
}

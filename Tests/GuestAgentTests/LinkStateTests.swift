// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

@testable import GuestAgent

/// What an agent shows, and does, when its link goes down.
@Suite(.serialized) struct LinkStateTests {
    /// Channels of a link that is down mean nothing, whatever their records still hold.
    @Test(arguments: Setting.all)
    func channelsAreShownWhileTheLinkIsUp(_ setting: Setting) throws {
        let guests = try Guests(setting)
        func expectShown() throws {
            for side in Guests.Side.allCases {
                let channels = try #require(try guests.status(side)["channels"] as? [[String: Any]])
                #expect(channels.map { $0["port"] as? Int } == [70])
                #expect(try guests.statusText(side).contains("\nchannel 0: connected, port 70"))
            }
        }
        try guests.startBoth()
        let first = try guests.pair(from: .a, port: 70)
        try expectShown()
        try guests.agent(.b).kill(SIGKILL)
        let down = try guests.status(.a) { $0["link"] as? String != "up" }
        #expect(down["link"] as? String == "waiting")
        #expect((down["channels"] as? [Any])?.isEmpty == true, "\(down)")
        #expect(try !guests.statusText(.a).contains("\nchannel "))
        #expect(first.client.isClosed(seconds: Guests.patience))
        let mark = try guests.agent(.a).text.count
        try guests.start(.b)
        try guests.waitForLink(.b)
        try guests.waitForLink(.a, after: mark)
        let second = try guests.pair(from: .a, port: 70)
        try expectShown()
        withExtendedLifetime(second) {}
    }

    /// A peer that said that it polls is not rung while the link is up. When it has gone, the agent that takes its
    /// place may sleep: it is rung for the new epoch.
    @Test(arguments: Setting.withDoorbells)
    func aNewEpochIsRungFor(_ setting: Setting) throws {
        let guests = try Guests(setting)
        let bell = guests.bells[Guests.Side.b.rawValue]
        try guests.start(.a)
        try guests.start(.b, ["--doorbell=none"])
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        #expect(try guests.status(.a)["peer-polls"] as? Bool == true)
        // What was rung before the peer could say so.
        var count: UInt64 = 0
        if Deadline(seconds: 0).wait(forInput: bell) { #expect(read(bell, &count, 8) == 8) }
        let (client, service) = try guests.pair(from: .a, port: 71)
        try client.write([1])
        #expect(try service.read(1) == [1])
        #expect(!Deadline(seconds: 0).wait(forInput: bell))
        try guests.agent(.b).kill(SIGKILL)
        #expect(Deadline(seconds: Guests.patience).wait(forInput: bell), "not rung for the new epoch")
        #expect(try guests.status(.a)["peer-polls"] as? Bool == true)
        try guests.start(.b)
        try guests.waitForLink(.b)
        #expect(try guests.status(.a) { $0["link"] as? String == "up" }["peer-polls"] as? Bool == false)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing
import USBIP

@testable import GuestAgent

/// An importer whose peer takes requests and does not answer: two real agents, a program in the place of the
/// importer's kernel, another in the place of the exporter.
@Suite(.serialized) struct SilentPeerTests {
    private static let busID = BusID("1-1")!
    private static let submit = PDUHeader(
        seqnum: 7, devid: 0x10002, direction: .in, endpoint: 0,
        body: .cmdSubmit(
            CmdSubmit(
                transferBufferLength: 18,
                setup: SetupPacket(requestType: 0x80, request: 6, value: 0x0100, length: 18)))
    ).encode()
    private static let unlink = PDUHeader(seqnum: 8, devid: 0x10002, body: .cmdUnlink(CmdUnlink(seqnum: 7))).encode()
    /// 20 heartbeats.
    private static let timeout = "--unlink-timeout-ms=1000"
    private static let heartbeatsToTimeout: UInt64 = 20

    /// A connection on which a device was asked for and one request sent, of which nothing has come back.
    private struct Import {
        let client: Stream
        let channel: UInt32
        let service: Stream
        let agent: AgentClient

        init(_ guests: Guests, port: UInt16 = ImportDialogue.port) throws {
            let listener = try guests.listen(.b, port: port)
            agent = AgentClient(runtimeDirectory: guests.runtime(.a))
            let connection = try agent.connect(port: port)
            client = Stream(connection.socket)
            channel = connection.channel
            service = try listener.accept()
            try client.write(Operation.requestImport(busID))
            #expect(try service.read(40) == Operation.requestImport(busID))
            try service.write(Operation.replyImport(record("1-1", 1, 2)))
            _ = try client.read(320)
            try client.write(submit)
            #expect(try service.read(48) == submit)
        }

        /// Asks how the peer answers, until it is as it should be.
        func progress(until isRight: (ChannelProgress?) -> Bool) -> ChannelProgress? {
            let deadline = Deadline(seconds: Guests.patience)
            while true {
                let now = agent.progress(channel: channel)
                if isRight(now) || deadline.isPast { return now }
            }
        }
    }

    private static func guests(_ setting: Setting) throws -> Guests {
        let guests = try Guests(setting)
        for side in Guests.Side.allCases { try guests.start(side, [timeout]) }
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        return guests
    }

    /// A request may wait for as long as it likes, and `progress` says for how long; the withdrawal of one may not.
    @Test(arguments: Setting.all)
    func anUnlinkWithoutAnAnswerEndsTheConnection(_ setting: Setting) throws {
        let guests = try Self.guests(setting)
        let device = try Import(guests)
        // Longer than any unlink would be waited for.
        let waiting = device.progress { $0.map { ($0.unansweredSeconds ?? 0) >= 2 } ?? true }
        #expect(waiting?.requests == 1 && waiting?.unansweredSeconds ?? 0 >= 2)
        let before = try guests.heartbeats(.a)
        try device.client.write(Self.unlink)
        #expect(try device.service.read(48) == Self.unlink)
        #expect(device.client.isClosed(seconds: Guests.patience))
        #expect(try guests.heartbeats(.a) >= before + Self.heartbeatsToTimeout)
        #expect(device.service.isClosed(seconds: Guests.patience))
        #expect(try guests.agent(.a).prints("has not answered the withdrawal of a USB request for 1000 ms"))
        #expect(device.progress { $0 == nil } == nil)
        // The next one has the channel, and a clean slate.
        let next = try Import(guests)
        #expect(next.progress { $0 != nil }?.requests == 1)
    }

    /// Data of another answer may come first, and takes the peer six times as far.
    @Test(arguments: Setting.withDoorbells)
    func dataBeforeTheAnswerOfAnUnlink(_ setting: Setting) throws {
        let guests = try Self.guests(setting)
        for _ in 0..<5 {
            let device = try Import(guests)
            let read = PDUHeader(
                seqnum: 9, devid: 0x10002, direction: .in, endpoint: 0,
                body: .cmdSubmit(
                    CmdSubmit(
                        transferBufferLength: 255,
                        setup: SetupPacket(requestType: 0x80, request: 6, value: 0x0300, length: 255)))
            ).encode()
            // The exporter's guard may hold it for half of the time.
            let before = try guests.heartbeats(.a)
            try device.client.write(read + Self.unlink)
            #expect(try device.service.read(96) == read + Self.unlink)
            try device.service.write(
                PDUHeader(seqnum: 9, body: .retSubmit(RetSubmit(actualLength: 255))).encode())
            let last = try trickle(device.service, guests)
            #expect(device.client.isClosed(seconds: Guests.patience))
            let now = try guests.heartbeats(.a)
            if now >= before + 6 * Self.heartbeatsToTimeout {
                #expect(try guests.agent(.a).prints("has not answered the withdrawal of a USB request"))
                return
            }
            // Too early, unless this program came too late itself.
            try #require(now >= last + Self.heartbeatsToTimeout, "\(now - before) heartbeats")
        }
        Issue.record("this machine is too slow to send a byte every quarter of a second")
    }

    /// Sends a byte often enough to be alive by it, until nobody takes it.
    /// - Returns: the heartbeat of the last one.
    private func trickle(_ stream: Stream, _ guests: Guests) throws -> UInt64 {
        var last = try guests.heartbeats(.a)
        for _ in 0..<255 {
            let deadline = Deadline(seconds: Guests.patience)
            while try guests.heartbeats(.a) < last + Self.heartbeatsToTimeout / 4, !deadline.isPast {}
            do { try stream.write([0]) } catch { break }
            last = try guests.heartbeats(.a)
        }
        return last
    }

    /// Behind a setting without an answer the guard holds everything, the withdrawal of that setting too.
    @Test(arguments: Setting.withDoorbells)
    func aSettingWithoutAnAnswerThatOthersWaitFor(_ setting: Setting) throws {
        let guests = try Self.guests(setting)
        let device = try Import(guests)
        let set = PDUHeader(
            seqnum: 9, devid: 0x10002, body: .cmdSubmit(CmdSubmit(setup: SetupPacket(requestType: 1, request: 11)))
        ).encode()
        try device.client.write(set)
        #expect(try device.service.read(48) == set)
        let before = try guests.heartbeats(.a)
        let next = PDUHeader(
            seqnum: 10, devid: 0x10002, direction: .in, endpoint: 1, body: .cmdSubmit(CmdSubmit())
        ).encode()
        try device.client.write(
            next + PDUHeader(seqnum: 11, devid: 0x10002, body: .cmdUnlink(CmdUnlink(seqnum: 9))).encode())
        #expect(device.client.isClosed(seconds: Guests.patience))
        #expect(try guests.heartbeats(.a) >= before + Self.heartbeatsToTimeout)
        #expect(try device.service.readToEnd().isEmpty)
        #expect(try guests.agent(.a).prints("has not answered the setting of an interface for 1000 ms"))
    }

    /// A service that answers is left alone, however late it answers the request itself.
    @Test(arguments: Setting.all)
    func anAnsweredUnlinkDoesNot(_ setting: Setting) throws {
        let guests = try Self.guests(setting)
        let device = try Import(guests)
        try device.client.write(Self.unlink)
        #expect(try device.service.read(48) == Self.unlink)
        let answer = PDUHeader(seqnum: 8, body: .retUnlink(RetUnlink(status: -104))).encode()
        try device.service.write(answer)
        #expect(try device.client.read(48) == answer)
        let now = device.progress { $0.map { $0.unansweredSeconds == nil } ?? false }
        #expect(now == ChannelProgress(requests: 1, unansweredSeconds: nil))
        let start = try guests.heartbeats(.a)
        _ = device.progress { _ in ((try? guests.heartbeats(.a)) ?? .max) >= start + 3 * Self.heartbeatsToTimeout }
        try device.client.write(Self.submit)
        #expect(try device.service.read(48) == Self.submit)
        #expect(device.progress { $0?.requests == 2 }?.requests == 2)
        #expect(try !guests.agent(.a).text.contains("withdrawal"))
    }

    /// A program that reads with a time limit, over and over: nearly always a withdrawal is open, never one for long.
    @Test(arguments: Setting.all)
    func pollingDoesNot(_ setting: Setting) throws {
        let guests = try Self.guests(setting)
        let device = try Import(guests)
        let start = try guests.heartbeats(.a)
        var number: UInt32 = 100
        while try guests.heartbeats(.a) < start + 3 * Self.heartbeatsToTimeout {
            number += 2
            let read = PDUHeader(
                seqnum: number, devid: 0x10002, direction: .in, endpoint: 0,
                body: .cmdSubmit(
                    CmdSubmit(
                        transferBufferLength: 255,
                        setup: SetupPacket(requestType: 0x80, request: 6, value: 0x0300, length: 255)))
            ).encode()
            let unlink = PDUHeader(
                seqnum: number + 1, devid: 0x10002, body: .cmdUnlink(CmdUnlink(seqnum: number))
            ).encode()
            try device.client.write(read + unlink)
            #expect(try device.service.read(96) == read + unlink)
            let answer = PDUHeader(seqnum: number + 1, body: .retUnlink(RetUnlink(status: -104))).encode()
            try device.service.write(answer)
            #expect(try device.client.read(48) == answer)
        }
        #expect(try !guests.agent(.a).text.contains("withdrawal"))
    }

    /// On another port the same bytes mean nothing.
    @Test(arguments: Setting.withDoorbells)
    func otherPortsAreNotWatched(_ setting: Setting) throws {
        let guests = try Self.guests(setting)
        let device = try Import(guests, port: 3239)
        try device.client.write(Self.unlink)
        #expect(try device.service.read(48) == Self.unlink)
        let start = try guests.heartbeats(.a)
        let deadline = Deadline(seconds: Guests.patience)
        while try guests.heartbeats(.a) < start + 3 * Self.heartbeatsToTimeout, !deadline.isPast {
            #expect(device.agent.progress(channel: device.channel) == nil)
        }
        try device.service.write([1])
        #expect(try device.client.read(1) == [1])
    }
}

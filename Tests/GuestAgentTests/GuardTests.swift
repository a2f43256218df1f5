// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import USBIP

@testable import GuestAgent

/// The guard in the data path: two real agents, programs in the place of the two kernels. The side under attack has
/// the guard, the other one has none.
@Suite(.serialized) struct GuardTests {
    private static let busID = BusID("1-1")!

    /// A connection on which a device was imported; `b` exports.
    private func imported(_ guests: Guests, guarded: Guests.Side) throws -> (client: Stream, service: Stream) {
        for side in Guests.Side.allCases { try guests.start(side, ["--guard=\(side == guarded ? "on" : "off")"]) }
        return try imported(guests)
    }

    /// The same, of agents that have been started.
    private func imported(_ guests: Guests) throws -> (client: Stream, service: Stream) {
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let (client, service) = try guests.pair(from: .a, port: USBIPProtocol.port)
        try client.write(Operation.requestImport(Self.busID))
        #expect(try service.read(40) == Operation.requestImport(Self.busID))
        try service.write(Operation.replyImport(record("1-1", 1, 2)))
        _ = try client.read(320)
        return (client, service)
    }

    private func expectRefusal(_ guests: Guests, _ side: Guests.Side, _ words: String) throws {
        #expect(
            try guests.agent(side).prints(
                "closed by the guard: the peer sent what USB/IP or the policy does not allow: \(words)"))
        let status = try guests.status(side)
        let counters = try #require(status["counters"] as? [String: Any])
        #expect(counters["guard-refusals"] as? Int == 1)
        #expect(status["guard"] as? Bool == true)
        #expect(try guests.status(side.other)["guard"] as? Bool == false)
    }

    /// An exporter that answers what nobody asked: the importer's kernel sees the end of its stream and no byte.
    @Test(arguments: Setting.withDoorbells)
    func aHostileExporter(_ setting: Setting) throws {
        let guests = try Guests(setting)
        let (client, service) = try imported(guests, guarded: .a)
        try service.write(PDUHeader(seqnum: 5, body: .retSubmit(RetSubmit(actualLength: 9))).encode())
        #expect(client.isClosed(seconds: Guests.patience) && service.isClosed(seconds: Guests.patience))
        try expectRefusal(guests, .a, "an answer has the number of no request that waits for one; it is 5")
        // The channel is good for the next.
        _ = try guests.pair(from: .a, port: 3239)
    }

    /// A policy decides on both sides what the guard lets pass, whoever speaks USB/IP behind the agent.
    @Test(arguments: Setting.withDoorbells, Guests.Side.allCases)
    func aPolicy(_ setting: Setting, _ side: Guests.Side) throws {
        let guests = try Guests(setting)
        let policy = try guests.folder.add("policy", "# not this one\ndeny 0001:0002\nallow\n")
        try guests.start(side, ["--policy=\(policy)"])
        try guests.start(side.other, ["--guard=off"])
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        for product: UInt16 in [1, 2] {
            let (client, service) = try guests.pair(from: .a, port: USBIPProtocol.port)
            try client.write(Operation.requestImport(Self.busID))
            _ = try service.read(40)
            try service.write(Operation.replyImport(record("1-1", 1, product)))
            if product == 1 {
                #expect(try client.read(320) == Operation.replyImport(record("1-1", 1, 1)))
            } else {
                #expect(client.isClosed(seconds: Guests.patience) && service.isClosed(seconds: Guests.patience))
            }
        }
        #expect(try guests.agent(side).prints("the policy does not allow the device"))
        #expect(try guests.agent(side).prints("by its line 2"))
        #expect(try guests.status(side)["policy"] as? String == policy)
    }

    /// An importer that hides a request in the payload for an endpoint that is not there.
    @Test(arguments: Setting.withDoorbells)
    func aHostileImporter(_ setting: Setting) throws {
        let guests = try Guests(setting)
        let (client, service) = try imported(guests, guarded: .b)
        let hidden = PDUHeader(
            seqnum: 6, devid: 0x10002, body: .cmdSubmit(CmdSubmit(setup: SetupPacket(request: 9)))
        ).encode()
        let request = PDUHeader(
            seqnum: 5, devid: 0x10002, direction: .out, endpoint: 2,
            body: .cmdSubmit(CmdSubmit(transferBufferLength: 48)))
        try client.write(request.encode() + hidden)
        #expect(service.isClosed(seconds: Guests.patience) && client.isClosed(seconds: Guests.patience))
        try expectRefusal(guests, .b, "a request is for an endpoint that the device has not")
    }

    /// Replies that the kernel writes in several parts, each too large for one buffer of a socket's.
    @Test(arguments: Setting.withDoorbells)
    func oneDoorbellAReply(_ setting: Setting) throws {
        let guests = try Guests(setting)
        for side in Guests.Side.allCases { try guests.start(side, ["--spin-us=0"]) }
        let (client, service) = try imported(guests)
        let size = 60_000
        let setup = SetupPacket(requestType: 0xC0, request: 1, length: UInt16(size))
        let submit = CmdSubmit(transferBufferLength: Int32(size), setup: setup)
        func rung() throws -> Int { (try guests.status(.b)["counters"] as? [String: Int])?["doorbells-rung"] ?? -1 }
        let before = try rung()
        for seqnum in 1...64 as ClosedRange<UInt32> {
            try client.write(
                PDUHeader(seqnum: seqnum, devid: 0x10002, direction: .in, body: .cmdSubmit(submit)).encode())
            _ = try service.read(48)
            let head = PDUHeader(seqnum: seqnum, body: .retSubmit(RetSubmit(actualLength: Int32(size)))).encode()
            try service.write(head + [UInt8](repeating: UInt8(seqnum), count: size))
            #expect(try client.read(48 + size).last == UInt8(seqnum))
        }
        let bells = try rung() - before
        #expect(before > 0 && bells > 0 && bells <= 64, "\(bells)")
    }

    /// What a connection has had answered takes nothing of what it may have open, however much it is in all: the
    /// kernel's memory is given back once its answers have been read.
    @Test(arguments: Setting.withDoorbells)
    func answeredRequestsTakeNoMemory(_ setting: Setting) throws {
        let guests = try Guests(setting)
        for side in Guests.Side.allCases { try guests.start(side, ["--spin-us=0"]) }
        let (client, service) = try imported(guests)
        let size = 65_535
        let setup = SetupPacket(requestType: 0xC0, request: 1, length: UInt16(size))
        let submit = CmdSubmit(transferBufferLength: Int32(size), setup: setup)
        for seqnum in 1...UInt32(GuardLimits().openBytes / size + 100) {
            try client.write(
                PDUHeader(seqnum: seqnum, devid: 0x10002, direction: .in, body: .cmdSubmit(submit)).encode())
            _ = try service.read(48)
            let head = PDUHeader(seqnum: seqnum, body: .retSubmit(RetSubmit(actualLength: 64))).encode()
            try service.write(head + [UInt8](repeating: UInt8(truncatingIfNeeded: seqnum), count: 64))
            #expect(try client.read(48 + 64).last == UInt8(truncatingIfNeeded: seqnum))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing
import USBIP

@testable import GuestAgent

/// Withdrawals between two real agents: a program in the place of the importer's kernel, another in the exporter's.
@Suite(.serialized) struct HeldWithdrawalTests {
    private static let devid: UInt32 = 0x10002

    private static func withdrawal(_ number: UInt32, of target: UInt32) -> [UInt8] {
        PDUHeader(seqnum: number, devid: devid, body: .cmdUnlink(CmdUnlink(seqnum: target))).encode()
    }

    private static func answer(_ number: UInt32, _ status: Int32) -> [UInt8] {
        PDUHeader(seqnum: number, body: .retUnlink(RetUnlink(status: status))).encode()
    }

    private static func read(_ number: UInt32) -> [UInt8] {
        let setup = SetupPacket(requestType: 0x80, request: 6, value: 0x0300, length: 8)
        return PDUHeader(
            seqnum: number, devid: devid, direction: .in,
            body: .cmdSubmit(CmdSubmit(transferBufferLength: 8, setup: setup))
        ).encode()
    }

    private static func connect(_ guests: Guests) throws -> (client: Stream, service: Stream) {
        let listener = try guests.listen(.b, port: ImportDialogue.port)
        let connection = try AgentClient(runtimeDirectory: guests.runtime(.a)).connect(port: ImportDialogue.port)
        let client = Stream(connection.socket)
        let service = try listener.accept()
        let request = Operation.requestImport(BusID("1-1")!)
        try client.write(request)
        #expect(try service.read(40) == request)
        try service.write(Operation.replyImport(record("1-1", 1, 2)))
        _ = try client.read(320)
        return (client, service)
    }

    @Test(
        "one that comes too late is answered by the guard, and the exporter's kernel hears nothing of it",
        arguments: Setting.all)
    func late(_ setting: Setting) throws {
        let guests = try Guests(setting)
        for side in Guests.Side.allCases { try guests.start(side) }
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let (client, service) = try Self.connect(guests)
        try client.write(Self.read(7))
        #expect(try service.read(48) == Self.read(7))
        let reply = PDUHeader(seqnum: 7, body: .retSubmit(RetSubmit(actualLength: 8))).encode() + [UInt8](1...8)
        try service.write(reply)
        #expect(try client.read(56) == reply)
        // Some at a time, of the same request.
        let numbers = Array(UInt32(100)..<1000)
        for part in 0..<3 {
            let some = numbers[(300 * part)..<(300 * (part + 1))]
            try client.write(some.flatMap { Self.withdrawal($0, of: 7) })
            let answers = try client.read(48 * some.count)
            let found = stride(from: 0, to: answers.count, by: 48).map { Array(answers[$0..<($0 + 48)]) }
            #expect(Set(found) == Set(some.map { Self.answer($0, 0) }))
        }
        try client.write(Self.read(2000))
        #expect(try service.read(48) == Self.read(2000))
    }

    @Test("requests that stay unanswered are withdrawn, more of them than go on at once", arguments: Setting.all)
    func unanswered(_ setting: Setting) throws {
        let guests = try Guests(setting)
        for side in Guests.Side.allCases { try guests.start(side) }
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let (client, service) = try Self.connect(guests)
        let numbers = Array(UInt32(1)...20)
        let requests = numbers.flatMap { Self.read($0) }
        try client.write(requests)
        #expect(try service.read(requests.count) == requests)
        try client.write(numbers.flatMap { Self.withdrawal(100 + $0, of: $0) })
        let found = try service.read(48 * numbers.count)
        let withdrawn = Set(stride(from: 0, to: found.count, by: 48).map { Array(found[$0..<($0 + 48)]) })
        #expect(withdrawn == Set(numbers.map { Self.withdrawal(100 + $0, of: $0) }))
        for number in numbers {
            try service.write(Self.answer(100 + number, -104))
            #expect(try client.read(48) == Self.answer(100 + number, -104))
        }
    }

    @Test("a link that is lost meanwhile leaves nothing to wait for", arguments: Setting.withDoorbells)
    func linkLost(_ setting: Setting) throws {
        let guests = try Guests(setting)
        for side in Guests.Side.allCases { try guests.start(side) }
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let (client, service) = try Self.connect(guests)
        let numbers = Array(UInt32(1)...200)
        try client.write(numbers.flatMap { Self.read($0) })
        _ = try service.read(48 * numbers.count)
        try client.write(numbers.flatMap { Self.withdrawal(1000 + $0, of: $0) })
        // The first of many.
        _ = try service.read(48)
        try guests.agent(.a).kill(SIGKILL)
        #expect(service.isClosed(seconds: Guests.patience))
        func wakeUps() throws -> Int {
            let counters = try #require(try guests.status(.b)["counters"] as? [String: Int])
            return try #require(counters["wake-ups"])
        }
        let (before, start) = (try wakeUps(), try guests.heartbeats(.b))
        let deadline = Deadline(seconds: Guests.patience)
        while try guests.heartbeats(.b) < start + 20, !deadline.isPast {}
        let heartbeats = Int(try guests.heartbeats(.b) - start)
        #expect(heartbeats >= 20)
        #expect(try wakeUps() - before < 10 * heartbeats + 100)
    }
}

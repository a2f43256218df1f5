// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import GuestAgent

@Suite struct ProtocolTests {
    @Test func requestsKeepTheirFields() {
        for operation in [ControlProtocol.Operation.connect, .status] {
            for port in [UInt16(0), 1, 3240, 65535] {
                for flags in [UInt32(0), 1, .max] {
                    let request = ControlProtocol.Request(operation: operation, port: port, flags: flags)
                    let bytes = ControlProtocol.request(request)
                    #expect(bytes.count == ControlProtocol.size)
                    #expect(bytes.withUnsafeBytes { ControlProtocol.parse($0) } == request)
                }
            }
        }
    }

    /// One byte changed at each place: either still a request of other fields, or none, never a crash.
    @Test func whatIsNoRequestIsRefused() {
        let good = ControlProtocol.request(.init(operation: .connect, port: 3240, flags: 0))
        for length in 0..<good.count {
            #expect(good[0..<length].withUnsafeBytes { ControlProtocol.parse($0) } == nil)
        }
        for place in 0..<good.count {
            var bytes = good
            bytes[place] ^= 0xFF
            let parsed = bytes.withUnsafeBytes { ControlProtocol.parse($0) }
            let isField = (6..<12).contains(place)
            #expect((parsed != nil) == isField, "byte \(place)")
        }
    }

    @Test func repliesKeepTheirFields() throws {
        for result in [Int32(0), 110, 111] {
            let reply = try #require(ControlProtocol.parseReply(ControlProtocol.reply(result, following: 77)))
            #expect(reply.result == result)
            #expect(reply.length == 77)
        }
        #expect(ControlProtocol.parseReply([]) == nil)
        #expect(ControlProtocol.parseReply([UInt8](repeating: 0, count: 16)) == nil)
    }

    @Test func workerPacketsKeepTheirFields() throws {
        let packet = WorkerPacket(.usbipStatus, slot: 300, generation: 0xDEAD_BEEF, text: [1, 2, 3])
        let read = try #require(WorkerPacket(packet.bytes))
        #expect(read.slot == 300)
        #expect(read.generation == 0xDEAD_BEEF)
        #expect(read.text == [1, 2, 3])
        for length in 0..<7 { #expect(WorkerPacket(Array(packet.bytes[0..<length])) == nil) }
        #expect(WorkerPacket([99] + packet.bytes.dropFirst()) == nil)
        let long = WorkerPacket(
            .usbipStatus, slot: 0, generation: 1, text: [UInt8](repeating: 7, count: 2 * WorkerPacket.maximum))
        #expect(long.bytes.count == WorkerPacket.maximum)
    }

    @Test func jsonIsEscaped() {
        let writer = JSONWriter()
        writer.beginObject()
        writer.field("a b", "line\nback\\slash\u{1}é")
        writer.beginArray("list")
        writer.beginObject()
        writer.field("n", 7)
        writer.endObject()
        writer.beginObject()
        writer.field("t", true)
        writer.endObject()
        writer.endArray()
        writer.endObject()
        let expected = #"{"a b":"line\u000aback\\slash\u0001é","list":[{"n":7},{"t":true}]}"#
        #expect(writer.text == expected)
    }
}

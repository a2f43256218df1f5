// SPDX-License-Identifier: Apache-2.0
import Testing
import USBIP

/// The streaming decoder of the URB phase.
struct PDUDecoderTests {
    /// What a decoder found, with the payload's pieces put together.
    enum Found: Equatable {
        case header(PDUHeader)
        case payload([UInt8])
        case descriptor(IsoPacketDescriptor)
        case end
    }

    static func expected(_ pdus: [PDUSample.PDU]) -> [Found] {
        pdus.flatMap { pdu in
            [.header(pdu.header)] + (pdu.payload.isEmpty ? [] : [.payload(pdu.payload)])
                + pdu.descriptors.map { .descriptor($0) } + [.end]
        }
    }

    /// Feeds a stream in pieces of a size; the bodies are as long as those of `pdus`, in their order.
    static func decode(
        _ stream: [UInt8], by size: Int, _ decoder: inout PDUDecoder, bodies pdus: [PDUSample.PDU]
    ) throws -> [Found] {
        var bodies = pdus.map(\.length)[...]
        return try decode(stream, by: size, &decoder) { _ in bodies.popFirst() }
    }

    /// - Parameter body: how long a header's body is; nil when the decoder is not told.
    static func decode(
        _ stream: [UInt8], by size: Int, _ decoder: inout PDUDecoder, body: (PDUHeader) throws -> PDUBodyLength?
    ) throws -> [Found] {
        var found: [Found] = []
        for start in Swift.stride(from: 0, to: stream.count, by: size) {
            let piece = Array(stream[start..<min(start + size, stream.count)])
            let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: piece.count, alignment: 1)
            defer { raw.deallocate() }
            raw.copyBytes(from: piece)
            var position = 0
            while let event = try decoder.next(UnsafeRawBufferPointer(raw), from: &position) {
                switch event {
                case .header(let header):
                    found.append(.header(header))
                    if let length = try body(header) { try decoder.expect(length) }
                case .payload(let range):
                    if case .payload(let before) = found.last {
                        found[found.count - 1] = .payload(before + piece[range])
                    } else {
                        found.append(.payload(Array(piece[range])))
                    }
                case .isoDescriptor(let descriptor): found.append(.descriptor(descriptor))
                case .end: found.append(.end)
                }
            }
            // Every byte was taken, unless the decoder waits to be told.
            if !decoder.isWaiting { #expect(position == piece.count) }
        }
        return found
    }

    @Test("both streams, in pieces of any size", arguments: Array(1...70) + [100_000])
    func streams(_ size: Int) throws {
        for (stream, pdus) in [(PDUStream.commands, PDUSample.commands), (.replies, PDUSample.replies)] {
            var decoder = PDUDecoder(stream)
            let found = try Self.decode(pdus.flatMap(\.bytes), by: size, &decoder, bodies: pdus)
            #expect(found == Self.expected(pdus))
            try decoder.finish()
        }
    }

    @Test("a stream that ends inside a PDU is an error at every length")
    func truncation() throws {
        for pdu in PDUSample.all {
            for length in pdu.bytes.indices {
                var decoder = PDUDecoder(pdu.header.command.stream)
                let stream = Array(pdu.bytes[..<length])
                let found = try Self.decode(stream, by: 33, &decoder, bodies: [pdu])
                #expect(found.last != .end)
                switch length {
                case 0: try decoder.finish()
                case 1..<48:
                    let error = USBIPError.ended(.pduHeader, got: length)
                    #expect(throws: error) { try decoder.finish() }
                default:
                    let error = USBIPError.endedInBody(missing: pdu.bytes.count - length)
                    #expect(throws: error) { try decoder.finish() }
                }
            }
        }
    }

    @Test("the decoder stops behind a header, and takes nothing until it is told")
    func waits() throws {
        let stream = PDUSample.cmdSubmitOut.bytes
        try stream.withUnsafeBytes { (raw: UnsafeRawBufferPointer) throws in
            var decoder = PDUDecoder(.commands)
            var position = 0
            #expect(!decoder.isWaiting)
            #expect(try decoder.next(raw, from: &position) == .header(PDUSample.cmdSubmitOut.header))
            #expect(decoder.isWaiting && position == 48)
            #expect(try decoder.next(raw, from: &position) == nil)
            #expect(position == 48)
            #expect(throws: USBIPError.outOfTurn) { try decoder.finish() }
            try decoder.expect(payload: 5, isoDescriptors: 0)
            #expect(try decoder.next(raw, from: &position) == .payload(48..<53))
            #expect(try decoder.next(raw, from: &position) == .end)
            #expect(try decoder.next(raw, from: &position) == nil)
            try decoder.finish()
        }
    }

    @Test("a large body passes without being held", arguments: [1 << 20, Int(Int32.max)])
    func largeBody(_ size: Int) throws {
        var decoder = PDUDecoder(.replies)
        let chunk = zeros(1 << 20)
        try PDUSample.retSubmit.head.withUnsafeBytes { (raw: UnsafeRawBufferPointer) throws in
            var position = 0
            _ = try decoder.next(raw, from: &position)
        }
        try decoder.expect(payload: size, isoDescriptors: 0)
        try chunk.withUnsafeBytes { (raw: UnsafeRawBufferPointer) throws in
            var left = size
            while left > 0 {
                var position = 0
                let count = min(left, raw.count)
                #expect(try decoder.next(raw, from: &position) == .payload(0..<count))
                left -= count
            }
            var position = 0
            #expect(try decoder.next(raw, from: &position) == .end)
            #expect(position == 0)
        }
    }

    @Test("a PDU of the other stream, and a bad header, end the stream for good", arguments: [1, 7, 48, 1000])
    func faults(_ size: Int) {
        let bad = PDUSample.cmdSubmitIn.head.replacing(at: 12, with: "00 00 00 09")
        let cases: [(PDUStream, [UInt8], USBIPError)] = [
            (.commands, PDUSample.retSubmit.bytes, .unexpectedCommand(.retSubmit)),
            (.commands, PDUSample.retUnlink.bytes, .unexpectedCommand(.retUnlink)),
            (.replies, PDUSample.cmdSubmitOut.bytes, .unexpectedCommand(.cmdSubmit)),
            (.replies, PDUSample.cmdUnlink.bytes, .unexpectedCommand(.cmdUnlink)),
            (.commands, bad, .badDirection(9)), (.replies, zeros(48), .unknownCommand(0)),
        ]
        for (stream, message, error) in cases {
            var decoder = PDUDecoder(stream)
            #expect(throws: error) { try Self.decode(message, by: size, &decoder, bodies: []) }
            let good = stream == .commands ? PDUSample.cmdUnlink : PDUSample.retUnlink
            #expect(throws: error) { try Self.decode(good.bytes, by: size, &decoder, bodies: [good]) }
            #expect(throws: error) { try decoder.expect(.none) }
            #expect(throws: error) { try decoder.finish() }
            #expect(error.sentence.utf8.count > 20)
        }
    }

    @Test("a body's length is told once, behind a header, and is possible")
    func outOfTurn() throws {
        var early = PDUDecoder(.commands)
        #expect(throws: USBIPError.outOfTurn) { try early.expect(.none) }
        for (payload, descriptors) in [(-1, 0), (0, -1), (Int(Int32.max) + 1, 0), (0, 1025), (Int.max, Int.max)] {
            var decoder = PDUDecoder(.commands)
            _ = try Self.decode(PDUSample.cmdSubmitOut.head, by: 48, &decoder, bodies: [])
            #expect(throws: USBIPError.outOfTurn) {
                try decoder.expect(payload: payload, isoDescriptors: descriptors)
            }
        }
        var twice = PDUDecoder(.commands)
        _ = try Self.decode(PDUSample.cmdSubmitOut.head, by: 48, &twice, bodies: [PDUSample.cmdSubmitOut])
        #expect(throws: USBIPError.outOfTurn) { try twice.expect(.none) }
    }
}

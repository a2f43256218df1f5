// SPDX-License-Identifier: Apache-2.0
import Testing
import USBIP

/// The URB phase of two implementations that share no code with the kernel or with Ringway, recorded once between
/// them as `Tests/Interop/interop.py direct` does it, with one short line: the client serial-usbipclient 1.1.2 and a
/// virtual serial port of usbip 0.7.0. The client enumerates the device, sends "ABC\r\n", is sent it back, and unlinks
/// two reads that still wait. Where they differ from the kernel: replies repeat devid, direction and endpoint,
/// CMD_UNLINK names its endpoint, and RET_UNLINK says 0 of an URB that was waiting. The isochronous traffic is
/// usbip 0.7.0 with itself, recorded by hand: its client enumerates a device, asks for 3 packets of 4 bytes, of which
/// one is short, and sends 2.
struct RecordedTrafficTests {
    static let commands = bytes(
        """
        000000010000000100010002000000010000000000000200000000120000000000000000000000008006000100001200
        000000010000000200010002000000010000000000000200000000090000000000000000000000008006000200000900
        000000010000000300010002000000010000000000000200000000430000000000000000000000008006000200004300
        000000010000000400010002000000010000000000000200000000ff000000000000000000000000800600030000ff00
        000000010000000500010002000000000000000000000000000000000000000000000000000000000009010000000000
        000000010000000600010002000000000000000000000000000000070000000000000000000000002120000000000700
        802500000000080000000100000007000100020000000100000000000002000000000000000000000000000000000021
        220003000000000000000100000008000100020000000100000001000000000000100000000000ffffffff0000000000
        000000000000000000000100000009000100020000000100000001000000000000100000000000ffffffff0000000000
        00000000000000000000010000000a000100020000000100000001000000000000100000000000ffffffff0000000000
        00000000000000000000010000000b000100020000000000000001000000000000000500000000ffffffff0000000000
        000000000000004142430d0a000000020000000c00010002000000010000000100000009000000000000000000000000
        000000000000000000000000000000020000000d0001000200000001000000010000000a000000000000000000000000
        000000000000000000000000
        """)

    static let replies = bytes(
        """
        000000030000000100010002000000010000000000000000000000120000000000000000000000000000000000000000
        120100020202014009120100000101020301000000030000000200010002000000010000000000000000000000090000
        000000000000000000000000000000000000090243000201008032000000030000000300010002000000010000000000
        000000000000430000000000000000000000000000000000000000090243000201008032090400000102020100052400
        100105240100010424020205240600010705820310000909040100020a00000007058102000200070501020002000000
        000300000004000100020000000100000000000000000000000400000000000000000000000000000000000000000403
        090400000003000000050001000200000000000000000000000000000000000000000000000000000000000000000000
        000000000003000000060001000200000000000000000000000000000007000000000000000000000000000000000000
        000000000003000000070001000200000001000000000000000000000000000000000000000000000000000000000000
        0000000000030000000b0001000200000000000000010000000000000005000000000000000000000000000000000000
        000000000003000000080001000200000001000000010000000000000005000000000000000000000000000000000000
        00004142430d0a000000040000000c000100020000000100000001000000000000000000000000000000000000000000
        00000000000000000000040000000d000100020000000100000001000000000000000000000000000000000000000000
        00000000000000
        """)

    static let isoCommands = bytes(
        """
        000000010000000100010002000000010000000000000000000000120000000000000000000000008006000100001200
        000000010000000200010002000000000000000000000000000000000000000000000000000000000009010000000000
        0000000100000003000100020000000100000001000000000000000c0000000000000003000000010000000000000000
        000000000000000400000000000000000000000400000004000000000000000000000008000000040000000000000000
        000000010000000400010002000000000000000200000000000000050000000000000002000000010000000000000000
        11121314150000000000000002000000000000000000000002000000030000000000000000
        """)

    static let isoReplies = bytes(
        """
        000000030000000100010002000000010000000000000000000000120000000000000000000000000000000000000000
        120100020000004009120100000101020301000000030000000200010002000000000000000000000000000000000000
        0000000000000000000000000000000000000000000300000003000100020000000100000001000000000000000b0000
        000000000003000000000000000000000000a0a0a0a0a1a1a1a2a2a2a200000000000000040000000400000000000000
        040000000400000003000000000000000800000004000000040000000000000003000000040001000200000000000000
        020000000000000005000000000000000200000000000000000000000000000000000000020000000200000000000000
        02000000030000000300000000
        """)

    private static let deviceDescriptor = "120100020202014009120100000101020301"
    private static let configuration = """
        090243000201008032090400000102020100052400100105240100010424020205240600010705820310000909040100020a0000
        000705810200020007050102000200
        """

    /// Takes a stream apart as a forwarder has to: the length of a reply's body follows from its command.
    private func decode(
        _ stream: PDUStream, _ recorded: [UInt8], by size: Int, of commands: [UInt32: PDUHeader] = [:],
        iso: Bool = false
    ) throws -> [PDUDecoderTests.Found] {
        var decoder = PDUDecoder(stream)
        var found: [PDUDecoderTests.Found] = []
        for start in Swift.stride(from: 0, to: recorded.count, by: size) {
            let piece = Array(recorded[start..<min(start + size, recorded.count)])
            try piece.withUnsafeBytes { (raw: UnsafeRawBufferPointer) throws in
                var position = 0
                while let event = try decoder.next(raw, from: &position) {
                    switch event {
                    case .header(let header):
                        found.append(.header(header))
                        try decoder.expect(try length(of: header, commands, iso))
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
                #expect(position == raw.count)
            }
        }
        try decoder.finish()
        return found
    }

    /// - Parameter iso: whether the device's endpoints, but for the control endpoint, are isochronous.
    private func length(
        of header: PDUHeader, _ commands: [UInt32: PDUHeader], _ iso: Bool
    ) throws -> PDUBodyLength {
        switch header.body {
        case .cmdSubmit(let submit):
            let isIsochronous = iso && header.endpoint != 0
            return try PDUFraming.body(of: submit, direction: header.direction, isIsochronous: isIsochronous)
        case .retSubmit(let reply):
            let command = try #require(commands[header.seqnum])
            guard case .cmdSubmit(let submit) = command.body else {
                Issue.record("a reply to \(command)")
                return .none
            }
            return try PDUFraming.body(
                of: reply, to: submit, direction: command.direction, isIsochronous: iso && command.endpoint != 0)
        case .cmdUnlink, .retUnlink: return .none
        }
    }

    private func headers(_ found: [PDUDecoderTests.Found]) -> [PDUHeader] {
        found.compactMap { if case .header(let header) = $0 { header } else { nil } }
    }

    private func payloads(_ found: [PDUDecoderTests.Found]) -> [[UInt8]] {
        found.compactMap { if case .payload(let payload) = $0 { payload } else { nil } }
    }

    @Test("an independent client and an independent server, in pieces of any size", arguments: Array(1...70) + [9999])
    func traffic(_ size: Int) throws {
        let sent = try decode(.commands, Self.commands, by: size)
        let asked = headers(sent)
        #expect(asked.map(\.seqnum) == Array(1...13))
        #expect(asked.map(\.endpoint) == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
        #expect(asked.allSatisfy { $0.devid == 0x0001_0002 })
        #expect(payloads(sent) == [bytes("80 25 00 00 00 00 08"), Array("ABC\r\n".utf8)])
        let unlinked = asked.compactMap { if case .cmdUnlink(let unlink) = $0.body { unlink.seqnum } else { nil } }
        #expect(unlinked == [9, 10])

        let commands = Dictionary(uniqueKeysWithValues: asked.map { ($0.seqnum, $0) })
        let received = try decode(.replies, Self.replies, by: size, of: commands)
        let answers = headers(received)
        #expect(answers.map(\.seqnum) == [1, 2, 3, 4, 5, 6, 7, 11, 8, 12, 13])
        #expect(answers.map(\.command).suffix(2) == [.retUnlink, .retUnlink])
        let configuration = bytes(Self.configuration)
        #expect(
            payloads(received) == [
                bytes(Self.deviceDescriptor), Array(configuration[..<9]), configuration, bytes("04 03 09 04"),
                Array("ABC\r\n".utf8),
            ])
    }

    @Test("isochronous transfers, in pieces of any size", arguments: Array(1...70) + [9999])
    func isochronous(_ size: Int) throws {
        let sent = try decode(.commands, Self.isoCommands, by: size, iso: true)
        let asked = headers(sent)
        #expect(asked.map(\.seqnum) == [1, 2, 3, 4])
        #expect(asked.map(\.endpoint) == [0, 0, 1, 2])
        #expect(payloads(sent) == [bytes("11 12 13 14 15")])
        #expect(descriptors(sent).map(\.offset) == [0, 4, 8, 0, 2])
        #expect(descriptors(sent).map(\.length) == [4, 4, 4, 2, 3])

        let commands = Dictionary(uniqueKeysWithValues: asked.map { ($0.seqnum, $0) })
        let received = try decode(.replies, Self.isoReplies, by: size, of: commands, iso: true)
        #expect(headers(received).map(\.seqnum) == [1, 2, 3, 4])
        #expect(payloads(received).last == bytes("A0A0A0A0 A1A1A1 A2A2A2A2"))
        #expect(descriptors(received).map(\.actualLength) == [4, 3, 4, 2, 3])
        #expect(descriptors(received).allSatisfy { $0.status == 0 })
    }

    private func descriptors(_ found: [PDUDecoderTests.Found]) -> [IsoPacketDescriptor] {
        found.compactMap { if case .descriptor(let descriptor) = $0 { descriptor } else { nil } }
    }

    @Test("encoded again, every byte is the one that was recorded", arguments: [false, true])
    func encoding(_ iso: Bool) throws {
        let recordings = iso ? (Self.isoCommands, Self.isoReplies) : (Self.commands, Self.replies)
        let sent = try decode(.commands, recordings.0, by: 48, iso: iso)
        let commands = Dictionary(uniqueKeysWithValues: headers(sent).map { ($0.seqnum, $0) })
        let received = try decode(.replies, recordings.1, by: 48, of: commands, iso: iso)
        for (found, recorded) in [(sent, recordings.0), (received, recordings.1)] {
            let again = found.flatMap { part -> [UInt8] in
                switch part {
                case .header(let header): header.encode()
                case .payload(let payload): payload
                case .descriptor(let descriptor): descriptor.encode()
                case .end: []
                }
            }
            #expect(again == recorded)
        }
    }
}

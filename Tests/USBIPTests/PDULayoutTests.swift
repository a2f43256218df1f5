// SPDX-License-Identifier: Apache-2.0
import Testing
import USBIP

/// The URB phase, byte for byte.
struct PDULayoutTests {
    @Test("each header has the bytes of the protocol's document, both ways")
    func headers() throws {
        for pdu in PDUSample.all {
            #expect(pdu.head.count == 48)
            #expect(pdu.header.encode() == pdu.head)
            #expect(try PDUHeader(decoding: pdu.head) == pdu.header)
        }
        #expect(PDUHeader.size == 48 && SetupPacket.size == 8 && IsoPacketDescriptor.size == 16)
    }

    @Test("an isochronous packet's descriptor, both ways")
    func descriptors() throws {
        #expect(PDUSample.descriptors.flatMap { $0.encode() } == PDUSample.descriptorBytes)
        for (i, descriptor) in PDUSample.descriptors.enumerated() {
            let some = Array(PDUSample.descriptorBytes[(i * 16)..<(i * 16 + 16)])
            #expect(try IsoPacketDescriptor(decoding: some) == descriptor)
        }
    }

    @Test("the numbers of commands and directions are the kernel's")
    func numbers() {
        let commands: [PDUCommand] = [.cmdSubmit, .cmdUnlink, .retSubmit, .retUnlink]
        #expect(commands.map(\.rawValue) == [1, 2, 3, 4])
        #expect(commands.map(\.stream) == [.commands, .commands, .replies, .replies])
        #expect(TransferDirection.out.rawValue == 0 && TransferDirection.in.rawValue == 1)
    }

    @Test("a setup packet is little-endian and knows its direction")
    func setup() {
        #expect(PDUSample.submit.setup.encode() == bytes("80 06 02 03 09 04 02 01"))
        #expect(PDUSample.submit.setup.direction == .in)
        #expect(SetupPacket(requestType: 0x7F).direction == .out)
        #expect(SetupPacket().encode() == zeros(8))
    }

    @Test("padding is not read")
    func padding() throws {
        let noise = [UInt8](repeating: 0xFF, count: 48)
        for (pdu, end) in [(PDUSample.cmdUnlink, 24), (PDUSample.retUnlink, 24), (PDUSample.retSubmit, 40)] {
            #expect(try PDUHeader(decoding: Array(pdu.head[..<end] + noise[end...])) == pdu.header)
        }
    }

    /// The words are those of the example at the end of the protocol's document.
    @Test("the example of the protocol's document")
    func example() throws {
        let words = "00000001 00000d05 0001000f 00000001 00000001 00000200 00000040 ffffffff 00000000 00000004"
        let submit = CmdSubmit(transferFlags: 0x200, transferBufferLength: 0x40, startFrame: -1, interval: 4)
        let header = PDUHeader(seqnum: 0xD05, devid: 0x1000F, direction: .in, endpoint: 1, body: .cmdSubmit(submit))
        #expect(try PDUHeader(decoding: bytes(words) + zeros(8)) == header)
        #expect(header.encode() == bytes(words) + zeros(8))
        let answer = "00000003 00000d06 00000000 00000000 00000000 00000000 00000040 ffffffff 00000000 00000000"
        let reply = RetSubmit(actualLength: 0x40, startFrame: -1)
        #expect(
            try PDUHeader(decoding: bytes(answer) + zeros(8)) == PDUHeader(seqnum: 0xD06, body: .retSubmit(reply)))
    }

    @Test("bad fields, and any other size than 48 or 16")
    func faults() {
        let good = PDUSample.cmdSubmitIn.head
        let cases: [(USBIPError, Int, String)] = [
            (.unknownCommand(0), 0, "00 00 00 00"), (.unknownCommand(5), 0, "00 00 00 05"),
            (.unknownCommand(0x0100_0000), 0, "01 00 00 00"), (.badDirection(2), 12, "00 00 00 02"),
            (.badDirection(0xFFFF_FFFF), 12, "FF FF FF FF"), (.badEndpoint(16), 16, "00 00 00 10"),
            (.badEndpoint(0x81), 16, "00 00 00 81"), (.badEndpoint(0xFFFF_FFFF), 16, "FF FF FF FF"),
        ]
        for (error, offset, hex) in cases {
            #expect(throws: error) { try PDUHeader(decoding: good.replacing(at: offset, with: hex)) }
            #expect(error.sentence.utf8.count > 20)
        }
        for count in 0...100 {
            if count != 48 {
                #expect(throws: USBIPError.wrongSize(.pduHeader, got: count)) {
                    try PDUHeader(decoding: zeros(count))
                }
            }
            if count != 16 {
                let wrong = USBIPError.wrongSize(.isoPacketDescriptor, got: count)
                #expect(throws: wrong) { try IsoPacketDescriptor(decoding: zeros(count)) }
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import USBIP

/// PDUs of the URB phase, written out from the field tables of Documentation/usb/usbip_protocol.rst.
enum PDUSample {
    /// A header, its bytes, and the body that its numbers mean.
    struct PDU: Sendable {
        var header: PDUHeader
        var head: [UInt8]
        var payload: [UInt8] = []
        var descriptors: [IsoPacketDescriptor] = []
        var length: PDUBodyLength { PDUBodyLength(payload: payload.count, isoDescriptors: descriptors.count) }
        var bytes: [UInt8] { head + payload + descriptors.flatMap { $0.encode() } }
    }

    static let submit = CmdSubmit(
        transferFlags: 0x0A0B_0C0D, transferBufferLength: 0x0102, startFrame: 0x1112_1314, numberOfPackets: 0,
        interval: 0x2122_2324,
        setup: SetupPacket(requestType: 0x80, request: 0x06, value: 0x0302, index: 0x0409, length: 0x0102))

    /// A control transfer IN: nothing follows.
    static let cmdSubmitIn = PDU(
        header: PDUHeader(
            seqnum: 0x0102_0304, devid: 0x0003_0002, direction: .in, endpoint: 15, body: .cmdSubmit(submit)),
        head: bytes(
            """
            00 00 00 01  01 02 03 04  00 03 00 02  00 00 00 01  00 00 00 0F
            0A 0B 0C 0D  00 00 01 02  11 12 13 14  00 00 00 00  21 22 23 24
            80 06 02 03 09 04 02 01
            """))

    /// A bulk transfer OUT of 5 bytes.
    static let cmdSubmitOut = PDU(
        header: PDUHeader(
            seqnum: 7, devid: 0x0003_0002, direction: .out, endpoint: 2,
            body: .cmdSubmit(CmdSubmit(transferBufferLength: 5, numberOfPackets: -1))),
        head: bytes(
            """
            00 00 00 01  00 00 00 07  00 03 00 02  00 00 00 00  00 00 00 02
            00 00 00 00  00 00 00 05  00 00 00 00  FF FF FF FF  00 00 00 00
            00 00 00 00 00 00 00 00
            """), payload: bytes("01 00 00 00 04"))

    static let descriptors = [
        IsoPacketDescriptor(offset: 0x0102_0304, length: 0x1112_1314, actualLength: 0x2122_2324, status: -18),
        IsoPacketDescriptor(offset: 8, length: 4, actualLength: 2, status: 0),
    ]
    static let descriptorBytes = bytes(
        """
        01 02 03 04  11 12 13 14  21 22 23 24  FF FF FF EE
        00 00 00 08  00 00 00 04  00 00 00 02  00 00 00 00
        """)

    /// An isochronous transfer OUT.
    static let cmdSubmitIso = PDU(
        header: PDUHeader(
            seqnum: 8, devid: 0x0003_0002, direction: .out, endpoint: 3,
            body: .cmdSubmit(CmdSubmit(transferBufferLength: 6, startFrame: -1, numberOfPackets: 2, interval: 1))),
        head: bytes(
            """
            00 00 00 01  00 00 00 08  00 03 00 02  00 00 00 00  00 00 00 03
            00 00 00 00  00 00 00 06  FF FF FF FF  00 00 00 02  00 00 00 01
            00 00 00 00 00 00 00 00
            """), payload: bytes("11 12 13 14 15 16"), descriptors: descriptors)

    static let cmdUnlink = PDU(
        header: PDUHeader(seqnum: 9, devid: 0x0003_0002, body: .cmdUnlink(CmdUnlink(seqnum: 0xA1A2_A3A4))),
        head: bytes(
            """
            00 00 00 02  00 00 00 09  00 03 00 02  00 00 00 00  00 00 00 00
            A1 A2 A3 A4  00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00
            00 00 00 00 00 00 00 00
            """))

    static let reply = RetSubmit(
        status: -32, actualLength: 3, startFrame: 0x1112_1314, numberOfPackets: 0, errorCount: 0x3132_3334)

    static let retSubmit = PDU(
        header: PDUHeader(seqnum: 0x0102_0304, body: .retSubmit(reply)),
        head: bytes(
            """
            00 00 00 03  01 02 03 04  00 00 00 00  00 00 00 00  00 00 00 00
            FF FF FF E0  00 00 00 03  11 12 13 14  00 00 00 00  31 32 33 34
            00 00 00 00 00 00 00 00
            """), payload: bytes("12 01 00"))

    static let retSubmitIso = PDU(
        header: PDUHeader(
            seqnum: 8, body: .retSubmit(RetSubmit(actualLength: 2, numberOfPackets: 2, errorCount: 1))),
        head: bytes(
            """
            00 00 00 03  00 00 00 08  00 00 00 00  00 00 00 00  00 00 00 00
            00 00 00 00  00 00 00 02  00 00 00 00  00 00 00 02  00 00 00 01
            00 00 00 00 00 00 00 00
            """), payload: bytes("AA BB"), descriptors: descriptors)

    /// -ECONNRESET is -104.
    static let retUnlink = PDU(
        header: PDUHeader(seqnum: 9, body: .retUnlink(RetUnlink(status: -104))),
        head: bytes(
            """
            00 00 00 04  00 00 00 09  00 00 00 00  00 00 00 00  00 00 00 00
            FF FF FF 98  00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00
            00 00 00 00 00 00 00 00
            """))

    static let commands = [cmdSubmitIn, cmdSubmitOut, cmdSubmitIso, cmdUnlink, cmdSubmitOut, cmdUnlink]
    static let replies = [retSubmit, retSubmitIso, retUnlink, retSubmitIso, retUnlink]
    static let all = commands + replies
}

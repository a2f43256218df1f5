// SPDX-License-Identifier: Apache-2.0
import Testing
import USBIP

/// How long a body is.
struct PDUFramingTests {
    private func command(
        _ length: Int32, _ packets: Int32, _ direction: TransferDirection, iso: Bool
    ) throws(USBIPError) -> PDUBodyLength {
        let submit = CmdSubmit(transferBufferLength: length, numberOfPackets: packets)
        return try PDUFraming.body(of: submit, direction: direction, isIsochronous: iso, limit: 1000)
    }

    private func reply(
        _ length: Int32, _ packets: Int32, _ direction: TransferDirection, iso: Bool, packetsAsked: Int32 = 2
    ) throws(USBIPError) -> PDUBodyLength {
        let request = CmdSubmit(transferBufferLength: 100, numberOfPackets: packetsAsked)
        let reply = RetSubmit(actualLength: length, numberOfPackets: packets)
        return try PDUFraming.body(of: reply, to: request, direction: direction, isIsochronous: iso)
    }

    private func length(_ payload: Int, _ descriptors: Int) -> PDUBodyLength {
        PDUBodyLength(payload: payload, isoDescriptors: descriptors)
    }

    @Test("a command has payload when it goes out, and descriptors when its endpoint is isochronous")
    func commands() throws {
        #expect(try command(100, 0, .out, iso: false) == length(100, 0))
        #expect(try command(100, 0, .in, iso: false) == .none)
        #expect(try command(0, -1, .out, iso: false) == .none)
        #expect(try command(1000, -1, .out, iso: false) == length(1000, 0))
        #expect(try command(100, 7, .out, iso: true) == length(100, 7))
        #expect(try command(100, 7, .in, iso: true) == length(0, 7))
        #expect(try command(100, 0, .out, iso: true) == length(100, 0))
        #expect(try command(100, 1024, .out, iso: true) == length(100, 1024))
    }

    @Test("the endpoint decides about descriptors, not the number of packets")
    func packetsOfAPlainEndpoint() throws {
        #expect(try command(100, 7, .out, iso: false) == length(100, 0))
        #expect(try reply(50, 7, .in, iso: false) == length(50, 0))
    }

    @Test("a reply has payload when its request came in, and descriptors when the endpoint is isochronous")
    func replies() throws {
        #expect(try reply(50, 0, .in, iso: false) == length(50, 0))
        #expect(try reply(100, -1, .in, iso: false) == length(100, 0))
        #expect(try reply(50, 0, .out, iso: false) == .none)
        #expect(try reply(50, 2, .in, iso: true) == length(50, 2))
        #expect(try reply(50, 2, .out, iso: true) == length(0, 2))
        #expect(try reply(0, 0, .in, iso: true, packetsAsked: 0) == .none)
        #expect(try reply(1, 1024, .in, iso: true, packetsAsked: 1024) == length(1, 1024))
    }

    @Test("lengths that no transfer has", arguments: [TransferDirection.out, .in])
    func badLengths(_ direction: TransferDirection) {
        for bad: Int32 in [-1, .min, 1001, .max] {
            #expect(throws: USBIPError.badLength(bad, limit: 1000)) { try command(bad, 0, direction, iso: false) }
        }
        for bad: Int32 in [-1, .min, 101, .max] {
            #expect(throws: USBIPError.badLength(bad, limit: 100)) { try reply(bad, 0, direction, iso: false) }
        }
        let huge = CmdSubmit(transferBufferLength: 16 << 20 + 1)
        #expect(throws: USBIPError.self) {
            try PDUFraming.body(of: huge, direction: direction, isIsochronous: false)
        }
        let large = CmdSubmit(transferBufferLength: 16 << 20)
        #expect(throws: Never.self) { try PDUFraming.body(of: large, direction: direction, isIsochronous: false) }
    }

    @Test("numbers of packets that no transfer has")
    func badPacketCounts() {
        for bad: Int32 in [-1, -2, .min, 1025, .max] {
            let error = USBIPError.badPacketCount(bad, limit: 1024)
            #expect(throws: error) { try command(1, bad, .out, iso: true) }
            if bad != -1 { #expect(throws: error) { try command(1, bad, .out, iso: false) } }
        }
        for bad: Int32 in [-1, 0, 1, 3, 1024, .min, .max] {
            let error = USBIPError.badPacketCount(bad, limit: 2)
            #expect(throws: error) { try reply(1, bad, .in, iso: true) }
        }
        #expect(throws: USBIPError.badPacketCount(1, limit: -1)) { try reply(1, 1, .in, iso: true, packetsAsked: -1) }
    }
}

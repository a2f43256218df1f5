// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import USBIP

/// Data on an endpoint that has answered nothing yet: should the exporter's kernel not have the endpoint, what it
/// takes for a header must be none.
struct GuardDoubtTests {
    private static let header = PDUHeader(
        seqnum: 600, devid: GuardSession.devid, direction: .in, endpoint: 0, body: .cmdSubmit(.bytes(0))
    ).encode()

    private func send(_ session: GuardSession, _ payload: [UInt8], by size: Int = .max) {
        let header = PDUHeader(
            seqnum: session.next(), devid: GuardSession.devid, direction: .out, endpoint: 2,
            body: .cmdSubmit(.bytes(Int32(payload.count))))
        session.command(header.encode() + payload, by: size)
    }

    @Test("a header as the first data is refused, however it is cut; behind an answer it is data")
    func first() {
        for command: UInt8 in [1, 2] {
            let payload = Self.header.replacing(at: 3, with: "0\(command)")
            for size in [1, 7, 12, 48, 59, 60, 1000] {
                let session = GuardSession.imported(.exporter)
                send(session, payload, by: size)
                #expect(session.violation == .framingUnclear)
            }
        }
        let session = GuardSession.imported(.exporter)
        send(session, [0])
        session.answer()
        send(session, Self.header)
        #expect(session.violation == nil)
        // Set again, it is in doubt again.
        session.answer()
        session.set(interface: 0, 0)
        send(session, Self.header)
        #expect(session.violation == .framingUnclear)
    }

    @Test("an answer to what was asked before the last setting proves nothing")
    func asked() {
        for isLate in [false, true] {
            let session = GuardSession.imported(.exporter)
            send(session, [0])
            let early = session.seqnum
            if !isLate { session.answer(early) }
            session.set(interface: 0, 0)
            if isLate { session.answer(early) }
            send(session, Self.header)
            #expect(session.violation == .framingUnclear)
        }
    }

    @Test("what is no header passes: another command, another device, behind the first 12 bytes")
    func others() {
        for payload in [
            Self.header.replacing(at: 3, with: "03"), Self.header.replacing(at: 11, with: "FF"), [0] + Self.header,
            zeros(12) + Self.header, Array(Self.header.prefix(11)),
        ] {
            let session = GuardSession.imported(.exporter)
            send(session, payload)
            session.unlink(1)
            #expect(session.violation == nil)
            #expect(session.commands.suffix(payload.count + 48).prefix(payload.count) == payload[...])
        }
    }

    /// Four bytes that say "command 1", and the next header, whose number is the device's.
    @Test("a header that is put together of data and the header behind it")
    func together() {
        let session = GuardSession.imported(.exporter)
        send(session, [0, 0, 0, 1])
        session.seqnum = GuardSession.devid - 1
        let before = session.commands.count
        session.unlink(1)
        #expect(session.violation == .framingUnclear && session.commands.count == before)
    }

    /// There the commands are its own kernel's.
    @Test("the importer's side has no such doubt")
    func importer() {
        let session = GuardSession.imported(.importer)
        send(session, Self.header)
        #expect(session.violation == nil)
    }
}

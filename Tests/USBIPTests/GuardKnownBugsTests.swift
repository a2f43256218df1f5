// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import USBIP

/// PDUs that kernels of their time could not bear, written from the descriptions of what was wrong, and the three ways
/// past a guard that frames otherwise than the kernel. None may reach a kernel, whichever side the guard is on.
struct GuardKnownBugsTests {
    static let roles = TestDevice.roles

    private func header(
        _ endpoint: UInt32, _ direction: TransferDirection, _ submit: CmdSubmit, seqnum: UInt32 = 500
    ) -> [UInt8] {
        PDUHeader(
            seqnum: seqnum, devid: GuardSession.devid, direction: direction, endpoint: endpoint,
            body: .cmdSubmit(submit)
        ).encode()
    }

    /// `usbip_recv_xbuff` took `actual_length` bytes into a buffer of `transfer_buffer_length`.
    @Test("CVE-2016-3955", arguments: roles)
    func cve20163955(_ role: GuardRole) {
        for (asked, said) in [(64, 65), (64, 4096), (0, 1), (18, Int32.max)] as [(Int32, Int32)] {
            let session = GuardSession.imported(role)
            session.submit(1, .in, .bytes(asked))
            let before = session.replies.count
            session.answer(nil, RetSubmit(actualLength: said), payload: [UInt8](repeating: 0x41, count: 4096))
            #expect(session.violation == .longerThanAsked && session.replies.count == before)
        }
    }

    /// `get_pipe` took the endpoint's number for an index.
    @Test("CVE-2017-16912", arguments: roles)
    func cve201716912(_ role: GuardRole) {
        for number: UInt32 in [16, 31, 127, 0xFFFF, .max] {
            for direction in [TransferDirection.in, .out] {
                let session = GuardSession.imported(role)
                let before = session.commands.count
                // The encoder has no such numbers.
                let bad = header(1, direction, .bytes(0)).replacing(
                    at: 16, with: String(number, radix: 16).padded)
                session.command(bad)
                #expect(session.violation == .noEndpoint && session.commands.count == before)
            }
        }
    }

    /// `stub_recv_cmd_submit` allocated whatever was asked for, also for any number of packets.
    @Test("CVE-2017-16913", arguments: roles)
    func cve201716913(_ role: GuardRole) {
        for length: Int32 in [.max, -1, .min, 1 << 30] {
            for direction in [TransferDirection.in, .out] {
                let session = GuardSession.imported(role)
                session.command(header(direction == .in ? 1 : 2, direction, .bytes(length)))
                #expect(session.violation == .badLength)
            }
        }
        for packets: Int32 in [1025, .max, -2, .min] {
            let session = GuardSession.imported(role)
            session.set(interface: 1, 1)
            session.command(header(4, .in, .bytes(64, packets: packets)))
            #expect(session.violation == .badPacketCount)
        }
    }

    /// Nor may it be asked for more in one piece than it has pieces of, nor for more in all than a guest can spare: it
    /// takes the memory when a request comes, also for what the device is to send some time.
    @Test("the memory of requests that stay open", arguments: roles)
    func openMemory(_ role: GuardRole) {
        let scattered: UInt32 = 0x0004_0000
        for (length, flags, isFine) in [
            (4 << 20, 0, true), (4 << 20 + 1, 0, false), (4 << 20 + 1, scattered, true), (16 << 20, scattered, true),
            (16 << 20 + 1, scattered, false),
        ] as [(Int32, UInt32, Bool)] {
            let session = GuardSession.imported(role)
            session.submit(1, .in, .bytes(length, flags: flags))
            #expect(session.violation == (isFine ? nil : .badLength), "\(length) \(flags)")
        }
        let session = GuardSession.imported(role)
        // What is answered, withdrawn or given up, even twice, has made room for the next.
        let first = submit(session, 16 << 20)
        let second = submit(session, 16 << 20)
        session.answer(first)
        let third = submit(session, 16 << 20)
        session.unlinked(session.unlink(second), -104)
        for _ in 0..<2 { session.unlinked(session.unlink(third), 0) }
        session.answer(third)
        #expect(session.violation == nil && session.rules.outstanding.memory == 0 && session.rules.unsettled == 0)
    }

    @discardableResult
    private func submit(_ session: GuardSession, _ length: Int32) -> UInt32 {
        session.submit(1, .in, .bytes(length, flags: 0x0004_0000))
    }

    /// Page by page, with a list of them, and a kibibyte for each request.
    @Test("as much as the limit is open, and no byte more", arguments: roles)
    func openLimit(_ role: GuardRole) {
        var limits = GuardLimits()
        limits.openBytes = 3 * (1 << 20 + 256 * 32 + 1024)
        for (last, isFine) in [(1 << 20, true), (1 << 20 + 1, false)] as [(Int32, Bool)] {
            let session = GuardSession.imported(role, limits: limits)
            for _ in 0..<2 { submit(session, 1 << 20) }
            submit(session, last)
            #expect(session.violation == (isFine ? nil : .tooManyBytes))
            guard isFine else { continue }
            #expect(session.rules.outstanding.memory == limits.openBytes)
            session.submit(1, .in, .bytes(0))
            #expect(session.violation == .tooManyBytes)
        }
    }

    /// The URB has room for each packet, and `xhci_hcd` a structure: without a byte of data they took 170 MiB.
    @Test("isochronous packets, and pieces of odd sizes, take memory, too", arguments: roles)
    func packetMemory(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        session.set(interface: 1, 1)
        let packets = [IsoPacketDescriptor](repeating: .init(0, 0), count: 1024)
        var passed = 0
        while session.violation == nil, passed < 1024 {
            session.submit(4, .in, .bytes(0, packets: 1024), descriptors: packets)
            passed += 1
        }
        #expect(session.violation == .tooManyBytes)
        #expect(passed == (64 << 20) / (1024 * 192 + 1024) + 1)
        for (length, taken) in [(0, 0), (1, 1), (2, 2), (3, 4), (4096, 4096), (4097, 8192), (65_535, 65_536)] {
            let other = GuardSession.imported(role)
            other.submit(1, .in, .bytes(Int32(length)))
            #expect(other.rules.outstanding.memory == taken + 1024, "\(length)")
        }
    }

    /// `stub_send_ret_submit` frees what it has answered when there is nothing left to answer.
    @Test("answers that the importer does not fetch hold new requests back, and lose none")
    func answeredMemory() {
        var limits = GuardLimits()
        limits.openBytes = 4 << 20
        let session = GuardSession.imported(.exporter, limits: limits)
        session.isBackedUp = true
        // Three of 1 MiB have room, answered or given up.
        for isAnswered in [true, false, true] {
            let number = submit(session, 1 << 20)
            if isAnswered { session.answer(number) } else { session.unlinked(session.unlink(number), 0) }
        }
        #expect(!session.waits && session.rules.outstanding.memory == 0)
        submit(session, 1 << 20)
        #expect(session.waits && session.violation == nil)
        // Others wait behind it: nothing overtakes.
        let unlink = session.unlink(9)
        let before = session.commands.count
        session.rules.settle()
        session.push()
        #expect(session.commands.count == before + 96 && !session.waits)
        session.answer(unlink - 1)
        session.unlinked(unlink, 0)
        #expect(session.violation == nil)
    }

    /// A device that takes the address of another one of the exporter's hears what is said to that.
    @Test("requests of the host alone", arguments: roles)
    func hostOnly(_ role: GuardRole) {
        for (request, value, isFine) in [
            (5, 3, false), (5, 0, false), (7, 0x0100, false), (3, 2, false), (3, 0x0102, true), (3, 1, true),
            (1, 1, true),
        ] as [(UInt8, UInt16, Bool)] {
            let session = GuardSession.imported(role)
            let before = session.commands.count
            session.control(SetupPacket(request: request, value: value))
            #expect(session.violation == (isFine ? nil : .hostOnly), "\(request) \(value)")
            #expect((session.commands.count > before) == isFine)
        }
        // Many devices look at neither direction nor recipient. HID has a SET_DESCRIPTOR, and features of interfaces
        // and endpoints have numbers of their own.
        for requestType in 0...255 as ClosedRange<UInt8> {
            let isStandard = requestType & 0x60 == 0
            let recipient = requestType & 0x1F
            for (request, isFine) in [
                (5, !isStandard), (7, !isStandard || recipient == 1), (3, !isStandard || recipient != 0),
            ] as [(UInt8, Bool)] {
                let session = GuardSession.imported(role)
                session.control(SetupPacket(requestType: requestType, request: request, value: 2))
                #expect(session.violation == (isFine ? nil : .hostOnly), "\(requestType) \(request)")
            }
        }
    }

    /// `stub_send_ret_submit` sent from a buffer that was never allocated: a transfer of no bytes whose packets had
    /// some.
    @Test("CVE-2017-16914", arguments: roles)
    func cve201716914(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        session.set(interface: 1, 1)
        session.submit(4, .in, .bytes(0, packets: 2), descriptors: [.init(0, 64), .init(64, 64)])
        #expect(session.violation == .packetOutside)
        let other = GuardSession.imported(role)
        other.submit(1, .in, .bytes(0))
        other.answer(nil, RetSubmit(actualLength: 64), payload: zeros(64))
        #expect(other.violation == .longerThanAsked)
    }

    /// A reply with more packets than the request: `usbip_recv_iso` wrote behind the URB.
    @Test("the number of packets, 2026", arguments: roles)
    func packets2026(_ role: GuardRole) {
        for packets: Int32 in [2, 1024, .max, -1] {
            let session = GuardSession.imported(role)
            session.set(interface: 1, 1)
            session.submit(4, .in, .bytes(64, packets: 1), descriptors: [.init(0, 64)])
            let before = session.replies.count
            session.answer(
                nil, RetSubmit(numberOfPackets: packets),
                descriptors: [IsoPacketDescriptor](repeating: .init(0, 0), count: 2))
            #expect(session.violation == .otherPacketCount && session.replies.count == before)
            // Also where no packets follow.
            guard packets != -1 else { continue }
            let bulk = GuardSession.imported(role)
            bulk.submit(1, .in, .bytes(64))
            bulk.answer(nil, RetSubmit(numberOfPackets: packets))
            #expect(bulk.violation == .otherPacketCount)
        }
    }

    /// First way: an endpoint that does not exist. `usbip-host` returns without reading the payload, and the payload
    /// is the next header.
    @Test("a header in the payload of an endpoint that is not there", arguments: roles)
    func payloadOfNobody(_ role: GuardRole) {
        let hidden = header(0, .out, .bytes(0), seqnum: 501)
        for endpoint: UInt32 in [1, 3, 4, 5, 7, 15] {
            let session = GuardSession.imported(role)
            let before = session.commands.count
            session.command(header(endpoint, .out, .bytes(48)) + hidden)
            #expect(session.violation == .noEndpoint && session.commands.count == before)
        }
    }

    /// Second way: the kernel goes by the endpoint's type and not by `number_of_packets`.
    @Test("descriptors where no packets were counted, and packets where no descriptors follow", arguments: roles)
    func packetsAndTypes(_ role: GuardRole) {
        // A bulk endpoint with packets: what looks like a descriptor is the next header.
        let bulk = GuardSession.imported(role)
        let before = bulk.commands.count
        bulk.command(header(1, .in, .bytes(64, packets: 3)))
        bulk.command(header(1, .in, .bytes(64), seqnum: 502))
        #expect(bulk.violation == nil && bulk.commands.count == before + 96)
        // Should the kernel take the endpoint for isochronous, there are no packets for it to look for.
        #expect(bulk.commands[before + 35] == 0)
        // Nor does it leave the rest unread, as it does where the number is wrong.
        bulk.command(header(1, .in, .bytes(64, packets: -1), seqnum: 503))
        #expect(bulk.commands.suffix(16).prefix(4) == [0, 0, 0, 0])
        #expect(bulk.rules.outstanding.count == 3)
        // An isochronous one: what looks like a header is descriptors.
        let iso = GuardSession.imported(role)
        iso.set(interface: 1, 1)
        iso.command(header(4, .in, .bytes(64, packets: 3)))
        iso.command(header(1, .in, .bytes(64), seqnum: 502))
        #expect(iso.violation == .packetOutside && iso.rules.outstanding.count == 1)
    }

    /// Third way: requests right behind OP_REQ_IMPORT. `usbipd` hands the socket over before it answers.
    @Test("requests before the import is answered", arguments: roles)
    func beforeTheAnswer(_ role: GuardRole) {
        let session = GuardSession(role)
        session.command(Sample.requestImport + header(0, .out, .bytes(0)))
        #expect(session.violation == .tooEarly && session.commands == Sample.requestImport)
        session.reply(Sample.replyImport)
        #expect(session.commands == Sample.requestImport)
    }

    /// And: endpoints that come and go while requests for them are on their way.
    @Test("payload for an endpoint that a setting takes away", arguments: roles)
    func payloadAcrossASetting(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        session.set(interface: 1, 1)
        session.control(SetupPacket(requestType: 1, request: 11, value: 0, index: 1))
        let set = session.seqnum
        let before = session.commands.count
        session.command(header(5, .out, .bytes(48, packets: 1)) + header(0, .out, .bytes(0), seqnum: 501) + zeros(16))
        #expect(session.waits && session.violation == nil && session.commands.count == before)
        session.answer(set)
        session.command([0])
        #expect(session.violation == .noEndpoint && session.commands.count == before)
    }
}

extension String {
    /// Eight hexadecimal digits.
    fileprivate var padded: String { String(repeating: "0", count: 8 - count) + self }
}

// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import USBIP

/// Withdrawals at the exporter, which its kernel survives only when their requests do not end just then.
struct GuardHeldWithdrawalTests {
    private static func session(_ role: GuardRole = .exporter) -> GuardSession {
        var limits = GuardLimits()
        limits.holdsWithdrawals = true
        return GuardSession.imported(role, limits: limits)
    }

    private static func withdrawal(_ number: UInt32, of target: UInt32) -> [UInt8] {
        PDUHeader(
            seqnum: number, devid: GuardSession.devid, body: .cmdUnlink(CmdUnlink(seqnum: target))
        ).encode()
    }

    private static func answer(_ number: UInt32) -> [UInt8] {
        PDUHeader(seqnum: number, body: .retUnlink(RetUnlink(status: 0))).encode()
    }

    private func last(_ session: GuardSession) -> [UInt8] { Array(session.commands.suffix(48)) }
    private func lastReply(_ session: GuardSession) -> [UInt8] { Array(session.replies.suffix(48)) }

    @Test("one is answered behind its request, and never goes on, whatever the endpoint")
    func answered() {
        let session = Self.session()
        session.set(interface: 1, 1)
        let requests = [
            session.submit(1, .in, .bytes(64)), session.submit(2, .out, .bytes(3), payload: [1, 2, 3]),
            session.submit(4, .in, .bytes(8, packets: 1), descriptors: [.init(0, 8)]),
            session.control(SetupPacket(requestType: 0xC0, request: 1, length: 4)),
        ]
        for target in requests {
            let before = session.commands
            let unlinks = [session.unlink(target), session.unlink(target)]
            #expect(session.commands == before && session.rules.isHolding)
            // One that is due waits for a place, and its request is quicker.
            session.rules.outstanding.release(1)
            let replies = session.replies
            let isIso = target == requests[2]
            let reply = RetSubmit(actualLength: isIso ? 0 : 2, numberOfPackets: isIso ? 1 : 0)
            let data: [UInt8] = isIso || target == requests[1] ? [] : [7, 8]
            session.answer(target, reply, payload: data, descriptors: isIso ? [.init(0, 8)] : [])
            let both = [Array(session.replies.suffix(96).prefix(48)), lastReply(session)]
            #expect(Set(both) == Set(unlinks.map(Self.answer)))
            #expect(session.replies.count == replies.count + 48 + data.count + (isIso ? 16 : 0) + 96)
            #expect(session.commands == before && !session.rules.isHolding)
        }
        #expect(session.violation == nil && session.rules.outstanding.count == 0)
    }

    @Test("its answer waits until the body of its request's is through")
    func behindTheBody() {
        let session = Self.session()
        let target = session.submit(1, .in, .bytes(64))
        let unlink = session.unlink(target)
        session.reply(PDUHeader(seqnum: target, body: .retSubmit(RetSubmit(actualLength: 64))).encode() + zeros(63))
        #expect(!session.rules.hasAnswer)
        session.push()
        #expect(lastReply(session) != Self.answer(unlink))
        session.reply([0])
        #expect(lastReply(session) == Self.answer(unlink))
    }

    @Test("of those without an answer eight go on at a time, when they are told to, byte for byte")
    func released() {
        let session = Self.session()
        let targets = (0..<20).map { _ in session.submit(1, .in, .bytes(64)) }
        let before = session.commands
        let unlinks = targets.map { session.unlink($0) }
        #expect(session.commands == before)
        for expected in [8, 16, 20, 20] {
            session.rules.releaseWithdrawals()
            session.push()
            #expect(session.commands.count == before.count + 48 * expected)
            #expect(session.rules.isHolding == (expected < 20))
        }
        #expect(session.commands == before + zip(unlinks, targets).flatMap { Self.withdrawal($0, of: $1) })
        for unlink in unlinks { session.unlinked(unlink, -104) }
        #expect(session.violation == nil && session.rules.outstanding.count == 0)
    }

    /// `usbip-host` would queue its answer and wake nobody to send it.
    @Test("what the exporter's kernel has no request for is answered at once; an importer's guard holds nothing")
    func notHeld() {
        let session = Self.session()
        let before = session.commands
        session.unlink(4_000_000_000)
        #expect(session.commands == before && !session.rules.isHolding && !session.rules.hasAnswer)
        #expect(lastReply(session) == Self.answer(session.seqnum))
        // The data path of an importer does not ask for it; a guard that is asked there does the same.
        let importer = GuardSession.imported(.importer)
        let target = importer.submit(1, .in, .bytes(64))
        let unlink = importer.unlink(target)
        #expect(last(importer) == Self.withdrawal(unlink, of: target))
    }

    /// `stub_recv_cmd_unlink` gives the request the withdrawal's number, by which it can be found once more.
    @Test("the withdrawal of a withdrawal is held as well")
    func ofAWithdrawal() {
        let session = Self.session()
        let target = session.submit(1, .in, .bytes(64))
        let first = session.unlink(target)
        session.rules.releaseWithdrawals()
        session.push()
        let before = session.commands
        let second = session.unlink(first)
        #expect(session.commands == before && session.rules.isHolding)
        session.unlinked(first, -104)
        #expect(session.commands == before && lastReply(session) == Self.answer(second))
        #expect(session.violation == nil && session.rules.outstanding.count == 0)
    }

    @Test("those of one request are answered when one of them has brought it to its end")
    func several() {
        let session = Self.session()
        let target = session.submit(1, .in, .bytes(64))
        let unlinks = (0..<9).map { _ in session.unlink(target) }
        session.rules.releaseWithdrawals()
        session.push()
        #expect(session.rules.isHolding)
        session.unlinked(unlinks[0], -104)
        #expect(!session.rules.isHolding && lastReply(session) == Self.answer(unlinks[8]))
    }

    @Test("one that waits for a place does not reach a later request of the same number, also when data are under way")
    func numberTwice() {
        let session = Self.session()
        session.answer(session.submit(2, .out, .bytes(1), payload: [0]))
        let target = session.submit(1, .in, .bytes(64))
        let unlink = session.unlink(target)
        let out = PDUHeader(
            seqnum: session.next(), devid: GuardSession.devid, direction: .out, endpoint: 2,
            body: .cmdSubmit(.bytes(40)))
        let again = PDUHeader(
            seqnum: target, devid: GuardSession.devid, direction: .in, endpoint: 1, body: .cmdSubmit(.bytes(64)))
        session.command(out.encode() + zeros(20))
        let before = session.commands
        session.rules.releaseWithdrawals()
        session.push()
        #expect(session.commands == before)
        session.answer(target)
        #expect(lastReply(session) == Self.answer(unlink))
        session.command(zeros(20) + again.encode())
        #expect(session.commands == before + zeros(20) + again.encode() && session.violation == nil)
    }

    /// What the guard puts between is the peer's, too: its number and its target are.
    @Test("a held withdrawal makes no header of data that are left unread", arguments: 1...11)
    func smuggled(_ count: Int) {
        let session = Self.session()
        let target = session.submit(1, .in, .bytes(64))
        // The 12 bytes from the data's start on: a command, anything, the device. What is behind `count` bytes of data
        // is the withdrawal's command, its number, the device.
        let wanted: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 2] + withUnsafeBytes(of: GuardSession.devid.bigEndian) { $0 }
        let header = Self.withdrawal(GuardSession.devid, of: target)
        session.command(header)
        let body = PDUHeader(
            seqnum: session.next(), devid: GuardSession.devid, direction: .out, endpoint: 2,
            body: .cmdSubmit(.bytes(Int32(count))))
        session.command(body.encode() + wanted.prefix(count))
        session.rules.releaseWithdrawals()
        session.push()
        #expect(session.violation == (count == 4 ? .framingUnclear : nil))
    }

    @Test("one that is held has no answer of the kernel's")
    func answeredEarly() {
        let session = Self.session()
        session.unlinked(session.unlink(session.submit(1, .in, .bytes(64))), 0)
        #expect(session.violation == .answersNothing)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import USBIP

/// Withdrawn requests: what the two kernels' threads really do, in every order.
struct GuardUnlinkTests {
    static let roles = TestDevice.roles
    private static let data = [UInt8](repeating: 7, count: 64)

    @Test("withdrawn in time: no RET_SUBMIT may come", arguments: roles)
    func withdrawn(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        let target = session.submit(1, .in, .bytes(64))
        session.unlinked(session.unlink(target), -104)
        #expect(session.violation == nil && session.rules.outstanding.count == 0)
        session.answer(target)
        #expect(session.violation == .answersNothing)
    }

    /// `vhci_hcd` would free a buffer from which it is still sending.
    @Test("a request whose data is still under way has no answer", arguments: roles)
    func answeredTooEarly(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        let header = PDUHeader(
            seqnum: 0x7000, devid: GuardSession.devid, direction: .out, endpoint: 2, body: .cmdSubmit(.bytes(64)))
        session.command(header.encode() + [1, 2, 3])
        session.answer(0x7000, RetSubmit(actualLength: 64))
        #expect(session.violation == .answersNothing)
    }

    @Test("answered before the withdrawal arrived: RET_SUBMIT, then RET_UNLINK(0)", arguments: roles)
    func answeredBefore(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        let target = session.submit(1, .in, .bytes(64))
        let unlink = session.unlink(target)
        session.answer(target, RetSubmit(actualLength: 64), payload: Self.data)
        session.unlinked(unlink, 0)
        #expect(session.violation == nil && session.rules.outstanding.count == 0)
        #expect(session.replies.suffix(48 + 64 + 48).count == 160)
        session.answer(target)
        #expect(session.violation == .answersNothing)
    }

    @Test("a RET_SUBMIT behind RET_UNLINK(0) is swallowed, with its body, in pieces of any size", arguments: roles)
    func late(_ role: GuardRole) {
        for size in [1, 5, 16, 48, 49, 1000] {
            let session = GuardSession.imported(role)
            session.set(interface: 1, 1)
            let bulk = session.submit(1, .in, .bytes(64))
            let out = session.submit(2, .out, .bytes(3), payload: [1, 2, 3])
            let iso = session.submit(4, .in, .bytes(8, packets: 1), descriptors: [.init(0, 8)])
            for target in [bulk, out, iso] { session.unlinked(session.unlink(target), 0) }
            let before = session.replies.count
            func late(_ number: UInt32, _ reply: RetSubmit, _ rest: [UInt8] = []) {
                session.reply(PDUHeader(seqnum: number, body: .retSubmit(reply)).encode() + rest, by: size)
            }
            late(bulk, RetSubmit(actualLength: 64), Self.data)
            late(out, RetSubmit(actualLength: 3))
            let descriptor = IsoPacketDescriptor(0, 8, 2).encode()
            late(iso, RetSubmit(actualLength: 2, numberOfPackets: 1), [1, 2] + descriptor)
            #expect(session.violation == nil, "\(session.rules.sentence)")
            #expect(session.replies.count == before)
            // What follows passes, and only once.
            let next = session.submit(1, .in, .bytes(4))
            session.answer(next, RetSubmit(actualLength: 4), payload: [1, 2, 3, 4])
            #expect(session.replies.count == before + 52 && session.rules.outstanding.count == 0)
            session.answer(bulk)
            #expect(session.violation == .answersNothing)
        }
    }

    @Test("swallowed replies obey the rules, too", arguments: roles)
    func lateAndWrong(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        let target = session.submit(1, .in, .bytes(64))
        session.unlinked(session.unlink(target), 0)
        session.answer(target, RetSubmit(actualLength: 65))
        #expect(session.violation == .longerThanAsked)
    }

    /// `vhci_tx_loop` sends submits, then unlinks: one that is queued in between goes out behind its own unlink.
    @Test("a withdrawal that overtakes its request", arguments: roles)
    func overtakes(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        let target = session.next()
        let unlink = session.unlink(target)
        let header = PDUHeader(
            seqnum: target, devid: GuardSession.devid, direction: .in, endpoint: 1, body: .cmdSubmit(.bytes(64)))
        session.command(header.encode())
        session.unlinked(unlink, 0)
        let before = session.replies.count
        session.answer(target, RetSubmit(actualLength: 64), payload: Self.data)
        #expect(session.violation == nil && session.replies.count == before)
    }

    @Test("withdrawn twice, and what was never asked", arguments: roles)
    func twice(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        let target = session.submit(1, .in, .bytes(64))
        let unlinks = [session.unlink(target), session.unlink(target), session.unlink(4_000_000_000)]
        session.unlinked(unlinks[1], 0)
        session.unlinked(unlinks[2], 0)
        session.unlinked(unlinks[0], -104)
        #expect(session.violation == nil && session.rules.outstanding.count == 0)
    }

    @Test("a RET_UNLINK cannot stand for another's", arguments: roles)
    func unlinkOfAnUnlink(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        let target = session.submit(1, .in, .bytes(64))
        let unlink = session.unlink(target)
        session.unlinked(session.unlink(unlink), -104)
        #expect(session.violation == nil)
        // The first one still waits for its answer.
        session.unlinked(unlink, -104)
        #expect(session.violation == nil && session.rules.outstanding.count == 0)
    }

    @Test("those that were given up make room, the others do not", arguments: roles)
    func room(_ role: GuardRole) {
        var limits = GuardLimits()
        limits.outstanding = 8
        let session = GuardSession.imported(role, limits: limits)
        for _ in 0..<100 { session.unlinked(session.unlink(session.submit(1, .in, .bytes(64))), 0) }
        #expect(session.violation == nil)
        for _ in 0..<8 { session.submit(1, .in, .bytes(64)) }
        #expect(session.violation == nil && session.rules.outstanding.count == 8)
        session.submit(1, .in, .bytes(64))
        #expect(session.violation == .tooManyOutstanding)
    }

    /// What the agent watches for: an exporter answers an unlink at once, or is gone.
    @Test("what is unanswered", arguments: roles)
    func watch(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        #expect(!session.rules.isUnanswered && !session.rules.isUnlinkUnanswered)
        let first = session.submit(1, .in, .bytes(64))
        #expect(session.rules.isUnanswered && !session.rules.isUnlinkUnanswered)
        let unlink = session.unlink(first)
        #expect(session.rules.isUnanswered && session.rules.isUnlinkUnanswered)
        session.unlinked(unlink, -104)
        #expect(!session.rules.isUnanswered && !session.rules.isUnlinkUnanswered)
        // A long payload that goes on coming is an answer.
        session.submit(1, .in, .bytes(64))
        session.reply(PDUHeader(seqnum: session.seqnum, body: .retSubmit(RetSubmit(actualLength: 64))).encode())
        session.unlink(9)
        #expect(session.rules.isUnlinkUnanswered)
        session.reply([1])
        #expect(!session.rules.isUnanswered && !session.rules.isUnlinkUnanswered)
        // Of the unlink itself it is none.
        #expect(session.rules.openUnlinks == 1)
        session.reply(zeros(63))
        session.unlink(8)
        // Nor is a part of a header.
        let answer = PDUHeader(seqnum: session.seqnum - 1, body: .retUnlink(RetUnlink(status: 0))).encode()
        for byte in answer[..<47] {
            session.reply([byte])
            #expect(session.rules.isUnanswered && session.rules.isUnlinkUnanswered)
        }
        session.reply([answer[47]])
        #expect(!session.rules.isUnlinkUnanswered && session.rules.openUnlinks == 1)
        session.unlinked(session.seqnum, 0)
        #expect(session.violation == nil && session.rules.openUnlinks == 0)
    }

    /// An importer may have another one open at each look, and each is answered.
    @Test("which unlinks are watched", arguments: roles)
    func watchUnlinks(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        var open = [session.unlink(1)]
        var watch = session.rules.unlinkWatch
        // One more before each answer: a watch ends with what was open when it began.
        for _ in 0..<100 {
            open.append(session.unlink(1))
            #expect(session.rules.unlinkWatch == watch)
            session.unlinked(open.removeFirst(), 0)
            #expect(session.rules.unlinkWatch != watch)
            watch = session.rules.unlinkWatch
        }
        // One that is never answered stays watched, whatever becomes of the others.
        for _ in 0..<3 { open.append(session.unlink(1)) }
        session.unlinked(open.removeFirst(), 0)
        watch = session.rules.unlinkWatch
        for _ in 0..<100 {
            open.append(session.unlink(1))
            session.unlinked(open.remove(at: 1), 0)
            #expect(session.rules.unlinkWatch == watch && session.rules.openUnlinks == open.count)
        }
        #expect(session.violation == nil)
    }
}

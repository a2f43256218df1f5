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
            let replies = session.replies
            let isIso = target == requests[2]
            let reply = RetSubmit(actualLength: isIso ? 0 : 2, numberOfPackets: isIso ? 1 : 0)
            let data: [UInt8] = isIso || target == requests[1] ? [] : [7, 8]
            session.answer(target, reply, payload: data, descriptors: isIso ? [.init(0, 8)] : [])
            #expect(Array(session.replies.suffix(96)) == unlinks.flatMap(Self.answer))
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

    @Test("of those without an answer eight go on at a time, the oldest first, byte for byte")
    func released() {
        let session = Self.session()
        session.moment()
        let targets = (0..<20).map { _ in session.submit(1, .in, .bytes(64)) }
        let before = session.commands
        let unlinks = targets.map { session.unlink($0) }
        #expect(session.commands == before)
        for expected in [8, 16, 20, 20] {
            session.moment()
            #expect(session.commands.count == before.count + 48 * expected)
            #expect(session.rules.isHolding == (expected < 20))
        }
        #expect(session.commands == before + zip(unlinks, targets).flatMap { Self.withdrawal($0, of: $1) })
        for unlink in unlinks { session.unlinked(unlink, -104) }
        #expect(session.violation == nil && session.rules.outstanding.count == 0)
    }

    @Test("none is passed over for ever, whatever comes behind it")
    func fairness() {
        let session = Self.session()
        session.moment()
        var waiting = (0..<40).map { _ in session.unlink(session.submit(1, .in, .bytes(64))) }
        for _ in 0..<50 {
            let before = session.commands.count
            session.moment()
            let gone = stride(from: before, to: session.commands.count, by: 48).map {
                session.commands[($0 + 4)..<($0 + 8)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            }
            #expect(gone == Array(waiting.prefix(8)))
            waiting.removeFirst(8)
            for number in gone {
                session.unlinked(number, -104)
                waiting.append(session.unlink(session.submit(1, .in, .bytes(64))))
            }
        }
        #expect(session.violation == nil)
    }

    /// A request may be ending wherever others end.
    @Test("an endpoint that has answered since the moment before is left alone; of control both directions")
    func silence() {
        let session = Self.session()
        session.moment()
        let setup = SetupPacket(requestType: 0xC0, request: 1, length: 4)
        let (bulk, other, control) = (
            session.submit(1, .in, .bytes(64)), session.submit(3, .in, .bytes(64)), session.control(setup)
        )
        let unlinks = [bulk, other, control].map { session.unlink($0) }
        func went() -> [UInt8] {
            let before = session.commands.count
            session.moment()
            return Array(session.commands[before...])
        }
        session.answer(session.submit(1, .in, .bytes(8)))
        session.answer(session.control(SetupPacket(requestType: 0x40, request: 1)))
        #expect(went() == Self.withdrawal(unlinks[1], of: other))
        session.answer(session.submit(1, .in, .bytes(8)))
        #expect(went() == Self.withdrawal(unlinks[2], of: control))
        session.answer(session.submit(2, .out, .bytes(1), payload: [0]))
        #expect(went() == Self.withdrawal(unlinks[0], of: bulk))
    }

    /// Who could make a withdrawal wait that is on its way would choose when it arrives.
    @Test("none goes on while it could not at once: data under way, a kernel that reads no further, replies unread")
    func notClear() {
        let stopping = [
            SetupPacket(requestType: 1, request: 11, value: 1, index: 1), SetupPacket(request: 9, value: 1),
            SetupPacket(requestType: 2, request: 1, index: 0x81), SetupPacket(requestType: 0x23, request: 3, value: 4),
        ]
        for step in 0..<(stopping.count + 3) {
            let session = Self.session()
            session.moment()
            session.answer(session.submit(2, .out, .bytes(1), payload: [0]))
            session.moment()
            let target = session.submit(1, .in, .bytes(64))
            let unlink = session.unlink(target)
            let header = PDUHeader(
                seqnum: session.next(), devid: GuardSession.devid, direction: .out, endpoint: 2,
                body: .cmdSubmit(.bytes(40)))
            switch step {
            case 0: break
            case 1: session.command(header.encode() + zeros(39))
            case 2:
                let read = session.submit(3, .in, .bytes(2))
                session.reply(PDUHeader(seqnum: read, body: .retSubmit(RetSubmit(actualLength: 2))).encode() + [0])
            default: session.control(stopping[step - 3])
            }
            let before = session.commands
            session.moment(isClear: step > 0)
            #expect(session.commands == before && session.rules.isHolding)
            // Nor later, by itself; nor what found no room at the moment.
            session.rules.releaseWithdrawals(isClear: true, now: session.now)
            session.rules.recallWithdrawals()
            switch step {
            case 0: break
            case 1: session.command([0])
            case 2: session.reply([0])
            default: session.answer()
            }
            #expect(session.strays == 0 && session.rules.isHolding && session.violation == nil)
            session.moment()
            #expect(last(session) == Self.withdrawal(unlink, of: target))
        }
    }

    /// Its kernel's own call is out after 5 s: the device that does not answer is to be let go.
    @Test("what stops the exporter's kernel stops it for six seconds at most")
    func stopped() {
        let session = Self.session()
        for round in 0..<2 {
            // Whatever was before is long ago.
            session.now += 100_000_000
            if round == 1 { session.moment() }
            session.now += 100_000_000
            let clear = session.control(SetupPacket(requestType: 2, request: 1, index: 0x81))
            let idle = session.submit(3, .in, .bytes(2))
            let unlinks = [session.unlink(clear), session.unlink(idle)]
            let before = session.commands
            for _ in 0..<21 { session.moment() }
            #expect(session.commands == before)
            session.moment()
            let both = Self.withdrawal(unlinks[0], of: clear) + Self.withdrawal(unlinks[1], of: idle)
            #expect(session.commands == before + both)
            for unlink in unlinks { session.unlinked(unlink, -104) }
        }
        #expect(session.violation == nil)
    }

    /// A peer that is told of the moment before could make the endpoint move by the time that it comes.
    @Test("the answers to what was withdrawn too late come behind what goes on at the moment")
    func lateAnswersComeLast() {
        let session = Self.session()
        session.moment()
        let target = session.submit(1, .in, .bytes(64))
        let late = session.unlink(99)
        session.unlink(target)
        session.rules.releaseWithdrawals(isClear: true, now: session.now)
        #expect(!session.rules.hasAnswer && session.rules.outstanding.due == 1)
        session.moment()
        #expect(lastReply(session) == Self.answer(late))
    }

    /// `usbip-host` would queue its answer and wake nobody to send it.
    @Test("what the exporter's kernel has no request for is answered at the next moment, all of it")
    func notThere() {
        let session = Self.session()
        let target = session.submit(1, .in, .bytes(64))
        session.answer(target)
        let before = (session.commands.count, session.replies.count)
        for number in 0..<20 { session.unlink(number < 10 ? target : 4_000_000_000) }
        #expect(session.rules.isHolding && session.replies.count == before.1)
        session.moment(isClear: false)
        #expect(!session.rules.isHolding && !session.rules.hasAnswer)
        #expect(session.commands.count == before.0 && session.replies.count == before.1 + 20 * 48)
        #expect(session.violation == nil && session.rules.outstanding.count == 0)
    }

    /// `vhci_tx_loop` sends submits, then unlinks: one that is queued in between goes out behind its own unlink.
    @Test("one that overtakes its request is held for it")
    func overtakes() {
        let session = Self.session()
        session.moment()
        let target = session.next()
        let unlink = session.unlink(target)
        let header = PDUHeader(
            seqnum: target, devid: GuardSession.devid, direction: .in, endpoint: 1, body: .cmdSubmit(.bytes(64)))
        session.command(header.encode())
        session.moment()
        #expect(last(session) == Self.withdrawal(unlink, of: target))
        session.unlinked(unlink, -104)
        #expect(session.violation == nil && session.rules.outstanding.count == 0)
    }

    @Test("withdrawn again, a request that the exporter's kernel no longer has, or a withdrawal that is answered")
    func again() {
        let session = Self.session()
        session.moment()
        let target = session.submit(1, .in, .bytes(64))
        let first = session.unlink(target)
        session.moment()
        let second = session.unlink(target)
        session.unlinked(first, 0)
        #expect(lastReply(session) == Self.answer(second))
        let third = session.unlink(target)
        let fourth = session.unlink(third)
        session.moment()
        #expect(Array(session.replies.suffix(96)) == [third, fourth].flatMap(Self.answer) && !session.rules.isHolding)
        #expect(session.violation == nil && session.strays == 0)
    }

    @Test("an importer's guard holds nothing")
    func importer() {
        let importer = GuardSession.imported(.importer)
        let target = importer.submit(1, .in, .bytes(64))
        let unlink = importer.unlink(target)
        #expect(last(importer) == Self.withdrawal(unlink, of: target))
    }

    @Test("direction and endpoint of one go on as they came")
    func words() {
        let session = Self.session()
        session.moment()
        let target = session.submit(1, .in, .bytes(64))
        let header = PDUHeader(
            seqnum: session.next(), devid: GuardSession.devid, direction: .in, endpoint: 9,
            body: .cmdUnlink(CmdUnlink(seqnum: target))
        ).encode()
        session.command(header)
        session.moment()
        #expect(last(session) == header)
    }

    /// `stub_recv_cmd_unlink` gives the request the withdrawal's number, by which it can be found once more.
    @Test("the withdrawal of a withdrawal is held until that has its answer")
    func ofAWithdrawal() {
        let session = Self.session()
        session.moment()
        let target = session.submit(1, .in, .bytes(64))
        let first = session.unlink(target)
        session.moment()
        let before = session.commands
        let second = session.unlink(first)
        for _ in 0..<3 { session.moment() }
        #expect(session.commands == before && session.rules.isHolding)
        session.unlinked(first, -104)
        #expect(session.commands == before && lastReply(session) == Self.answer(second))
        #expect(session.violation == nil && session.rules.outstanding.count == 0)
    }

    @Test("those of one request are answered when one of them has brought it to its end")
    func several() {
        let session = Self.session()
        session.moment()
        let target = session.submit(1, .in, .bytes(64))
        let unlinks = (0..<9).map { _ in session.unlink(target) }
        session.moment()
        #expect(session.rules.isHolding)
        session.unlinked(unlinks[0], -104)
        #expect(!session.rules.isHolding && lastReply(session) == Self.answer(unlinks[8]))
    }

    /// What the guard puts between is the peer's, too: its number and its target are.
    @Test("a held withdrawal makes no header of data that are left unread", arguments: 1...11)
    func smuggled(_ count: Int) {
        let session = Self.session()
        let target = session.submit(1, .in, .bytes(64))
        // The 12 bytes from the data's start on: a command, anything, the device. What is behind `count` bytes of data
        // is the withdrawal's command, its number, the device.
        let wanted: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 2] + withUnsafeBytes(of: GuardSession.devid.bigEndian) { $0 }
        session.moment()
        session.command(Self.withdrawal(GuardSession.devid, of: target))
        let body = PDUHeader(
            seqnum: session.next(), devid: GuardSession.devid, direction: .out, endpoint: 2,
            body: .cmdSubmit(.bytes(Int32(count))))
        session.command(body.encode() + wanted.prefix(count))
        session.moment()
        #expect(session.violation == (count == 4 ? .framingUnclear : nil))
    }

    @Test("one that is held has no answer of the kernel's")
    func answeredEarly() {
        let session = Self.session()
        session.unlinked(session.unlink(session.submit(1, .in, .bytes(64))), 0)
        #expect(session.violation == .answersNothing)
    }
}

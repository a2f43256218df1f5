// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import USBIP

/// Random streams, some of them spoiled: what a guard lets pass is framed by a plain model of the kernels as the guard
/// framed it, PDU for PDU, and does a kernel no harm.
struct GuardDifferentialTests {
    private static let truth: [[[UInt8: KernelModel.Kind]]] = [
        [[0x81: .other, 2: .other, 0x83: .other]], [[:], [0x84: .iso, 5: .iso]],
        [[0x86: .iso], [0x86: .other, 7: .other], [7: .iso]],
    ]

    private static let configuration: [UInt8] = TestDevice.configuration(
        1,
        truth.enumerated().flatMap { number, settings in
            settings.enumerated().map { setting, endpoints in
                TestDevice.interface(
                    UInt8(number), UInt8(setting),
                    endpoints.sorted { $0.key < $1.key }.map { TestDevice.endpoint($0.key, $0.value == .iso ? 1 : 2) })
            }
        })

    /// Some request, and what an answer to it has to know.
    private struct Request {
        var seqnum: UInt32
        var address: UInt8
        var length: Int
        var packets: Int
        var isIso = false
        var isSetting = false
        var succeeds = true
        var isUnlink = false
    }

    /// One connection of some hundred messages.
    private struct Stream {
        var random: SeededGenerator
        let session: GuardSession
        var model = KernelModel(devid: GuardSession.devid, truth: GuardDifferentialTests.truth)
        var open: [Request] = []
        var seqnum: UInt32 = 0x2000
        let spoils: Bool
        var late = 0
        private var start = (0, 0)

        init(_ role: GuardRole, seed: UInt64, spoils: Bool) {
            random = SeededGenerator(seed)
            self.spoils = spoils
            var limits = GuardLimits()
            limits.holdsWithdrawals = role == .exporter && seed & 2 != 0
            session = GuardSession(role, limits: limits)
            session.command(Sample.requestImport)
            session.reply(Sample.replyImport)
            start = (session.commands.count, session.replies.count)
            session.configure(GuardDifferentialTests.configuration)
            check()
        }

        /// Gives the kernels what came out.
        mutating func check() {
            model.receive(commands: Array(session.commands[start.0...]))
            model.ownAnswers = session.ownAnswers
            model.receive(replies: Array(session.replies[start.1...]))
        }

        mutating func some(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
        mutating func oneIn(_ count: Int) -> Bool { some(1...count) == 1 }
        mutating func bytes(_ count: Int) -> [UInt8] {
            // Data that looks like messages.
            let header = PDUHeader(
                seqnum: 9, devid: GuardSession.devid, direction: .in, endpoint: 1, body: .cmdSubmit(.bytes(8)))
            let start = some(0...47)
            return Array([[UInt8]](repeating: header.encode(), count: count / 48 + 2).flatMap { $0 }.dropFirst(start))
                .prefix(count).map { $0 }
        }

        /// Sends, in pieces and maybe with a byte that is another.
        mutating func send(_ message: [UInt8], isCommand: Bool, head: Int) {
            var message = message
            if spoils, oneIn(60) { message[some(0...(head - 1))] ^= UInt8(1 << some(0...7)) }
            let size = oneIn(3) ? some(1...60) : .max
            if isCommand { session.command(message, by: size) } else { session.reply(message, by: size) }
            check()
        }

        mutating func step() {
            switch some(1...20) {
            case 1...9: submit()
            case 10...16 where !open.isEmpty: answer(some(0...(open.count - 1)))
            case 17 where !open.isEmpty: unlink(open[some(0...(open.count - 1))].seqnum)
            case 18: setting()
            default: break
            }
        }

        static func addresses(_ model: KernelModel) -> [UInt8] {
            var found: [UInt8] = [0, 0x80]
            for (interface, setting) in model.settings.enumerated() { found += model.truth[interface][setting].keys }
            return found.sorted()
        }

        mutating func submit() {
            seqnum += 1
            let known = Self.addresses(model)
            let address = spoils && oneIn(40) ? UInt8(some(0...15)) : known[some(0...(known.count - 1))]
            let kind = model.kind(address)
            var request = Request(
                seqnum: seqnum, address: address, length: [0, 1, 5, 48, 100, 2000, 5000][some(0...6)], packets: 0)
            request.isIso = kind == .iso
            if request.isIso {
                request.packets = some(0...4)
            } else if oneIn(4) {
                request.packets = [-1, 3][some(0...1)]
            }
            let isIn = address & 0x80 != 0 && (kind != .control || request.length > 0)
            let packets = max(1, request.packets)
            let descriptors = (0..<max(0, request.packets)).map {
                IsoPacketDescriptor(UInt32($0 * (request.length / packets)), UInt32(request.length / packets))
            }
            let submit = CmdSubmit(
                transferFlags: oneIn(3) && !request.isIso && kind == .other && request.length > 0 ? 0x0004_0201 : 0,
                transferBufferLength: Int32(request.length), numberOfPackets: Int32(request.packets),
                setup: kind == .control
                    ? SetupPacket(requestType: isIn ? 0xC0 : 0x40, request: 1, length: UInt16(request.length))
                    : SetupPacket())
            let header = PDUHeader(
                seqnum: seqnum, devid: GuardSession.devid, direction: isIn ? .in : .out,
                endpoint: UInt32(address & 15), body: .cmdSubmit(submit)
            ).encode()
            let tail = request.isIso ? descriptors.flatMap { $0.encode() } : []
            send(header + (isIn ? [] : payload(request.length)) + tail, isCommand: true, head: 48)
            if !isIn { request.address &= 0x7F }
            open.append(request)
        }

        /// An endpoint that has answered nothing yet gets no data that could be a header.
        mutating func payload(_ count: Int) -> [UInt8] {
            [0xFF, 0xFF, 0xFF, 0xFF].prefix(count) + bytes(max(0, count - 4))
        }

        mutating func setting() {
            // As a driver does it: when nothing is on its way to the other endpoints.
            while let index = open.firstIndex(where: { $0.address & 0x7F != 0 }) { answer(index) }
            seqnum += 1
            let interface = some(0...3)
            let number = some(0...3)
            let exists =
                interface < GuardDifferentialTests.truth.count
                && number < GuardDifferentialTests.truth[interface].count
            let setup = SetupPacket(requestType: 1, request: 11, value: UInt16(number), index: UInt16(interface))
            let header = PDUHeader(
                seqnum: seqnum, devid: GuardSession.devid, body: .cmdSubmit(CmdSubmit(setup: setup)))
            // Of one that fails or is withdrawn only the exporter's kernel knows whether it was set.
            let isUnclear = spoils && oneIn(3)
            if isUnclear && exists { model.failsToSet = oneIn(2) }
            send(header.encode(), isCommand: true, head: 48)
            let succeeds = exists && !isUnclear
            open.append(Request(seqnum: seqnum, address: 0, length: 0, packets: 0, isSetting: true, succeeds: succeeds))
            // What follows at once has to wait, and is framed by what is set then.
            if oneIn(2) { submit() }
            let index = open.firstIndex { $0.isSetting } ?? 0
            if isUnclear && oneIn(2) { return withdraw(index) }
            answer(index)
        }

        mutating func withdraw(_ index: Int) {
            sendUnlink(open.remove(at: index).seqnum)
            release()
            unlinked(seqnum, -104)
        }

        mutating func sendUnlink(_ target: UInt32) {
            seqnum += 1
            let header = PDUHeader(
                seqnum: seqnum, devid: GuardSession.devid, body: .cmdUnlink(CmdUnlink(seqnum: target)))
            send(header.encode(), isCommand: true, head: 48)
        }

        mutating func release() {
            // The endpoint must have been silent since the one before.
            for _ in 0..<2 { session.moment() }
            check()
        }

        mutating func unlink(_ target: UInt32) {
            sendUnlink(target)
            // In time; or too late, and then in either order.
            let index = open.firstIndex { $0.seqnum == target } ?? 0
            let number = seqnum
            let order = some(0...2)
            if order != 1 || oneIn(2) { release() }
            switch order {
            case 0:
                open.remove(at: index)
                unlinked(number, -104)
            case 1:
                answer(index)
                // One that was held is answered by the guard.
                if session.ownAnswers[number] == nil { unlinked(number, 0) }
            default:
                unlinked(number, 0)
                late += 1
                answer(index)
            }
        }

        mutating func unlinked(_ number: UInt32, _ status: Int32) {
            let header = PDUHeader(seqnum: number, body: .retUnlink(RetUnlink(status: status)))
            send(header.encode(), isCommand: false, head: 48)
        }

        mutating func answer(_ index: Int) {
            let request = open.remove(at: index)
            let isIn = request.address & 0x80 != 0
            let packets = max(0, request.isIso ? request.packets : 0)
            let each = packets > 0 ? request.length / packets : 0
            let descriptors = (0..<packets).map { i in
                IsoPacketDescriptor(UInt32(i * each), UInt32(each), UInt32(some(0...each)))
            }
            let length =
                packets > 0
                ? descriptors.reduce(0) { $0 + Int($1.actualLength) }
                : request.isIso ? 0 : some(0...request.length)
            let reply = RetSubmit(
                status: request.succeeds ? 0 : -32, actualLength: Int32(length),
                numberOfPackets: Int32(request.isIso || oneIn(2) ? request.packets : 0))
            let header = PDUHeader(seqnum: request.seqnum, body: .retSubmit(reply)).encode()
            send(
                header + (isIn ? bytes(length) : []) + descriptors.flatMap { $0.encode() }, isCommand: false, head: 48)
        }
    }

    /// The first offset at which two framings part.
    private static func difference(_ model: [Int], _ session: [Int]) -> String? {
        for i in 0..<max(model.count, session.count) {
            let ends = (i < model.count ? model[i] : -1, i < session.count ? session[i] : -1)
            if ends.0 != ends.1 { return "message \(i): the kernel's ends at \(ends.0), the guard's at \(ends.1)" }
        }
        return nil
    }

    @Test("guard and kernel agree on where every PDU ends", arguments: [false, true])
    func agree(_ spoils: Bool) {
        let seed = TestRun.seed
        print("seed \(seed)")
        var refusals: [GuardViolation: Int] = [:]
        var late = 0
        var ends = 0
        for run in 0..<200 {
            var stream = Stream(run % 2 == 0 ? .exporter : .importer, seed: seed &+ UInt64(run), spoils: spoils)
            for _ in 0..<150 where stream.session.violation == nil { stream.step() }
            let place: Comment = "seed \(seed), run \(run): \(stream.session.rules.sentence)"
            #expect(stream.model.fault == nil, place)
            #expect(Self.difference(stream.model.commandEnds, stream.session.commandEnds) == nil, place)
            #expect(Self.difference(stream.model.replyEnds, stream.session.replyEnds) == nil, place)
            if let violation = stream.session.violation { refusals[violation, default: 0] += 1 }
            if stream.model.fault != nil { return }
            late += stream.late
            ends += stream.model.commandEnds.count + stream.model.replyEnds.count
        }
        #expect(ends > 2000 && late > 20, "the streams are no test: \(ends) messages, \(late) late replies")
        if spoils { #expect(refusals.count > 8, "\(refusals)") } else { #expect(refusals.isEmpty, "\(refusals)") }
    }
}

// SPDX-License-Identifier: Apache-2.0

@testable import USBIP

/// A hostile peer against an honest kernel, with the guard between them: where the guard says that a PDU ends is where
/// the plain model of the two kernels says so, and nothing that passes does a kernel harm. As long as the peer does
/// nothing but what a kernel does, nothing is refused.
func fuzzGuardFraming(_ input: inout Input) {
    let start = input.byte()
    var talk = Talk(
        start & 1 == 0 ? .exporter : .importer, size: [1, 7, 48, Int.max][Int(start >> 1 & 3)],
        holdsWithdrawals: start & 9 == 8)
    while !input.isEmpty, talk.session.violation == nil {
        talk.step(&input)
        talk.check()
    }
}

/// What an exporter's kernel knows of a request that reached it.
struct Received {
    let seqnum: UInt32
    let address: UInt8
    let length: Int
    let packets: [IsoPacketDescriptor]
    let isIso: Bool
    let setup: [UInt8]
    /// The endpoint, which of control is one.
    var slot: UInt8 { address & 0x7F == 0 ? 0 : address }

    /// - Parameter pdu: a CMD_SUBMIT with all of its body.
    init(_ pdu: ArraySlice<UInt8>, isIso: Bool) {
        let bytes = Array(pdu)
        func word(_ index: Int) -> UInt32 { bytes[(4 * index)..<(4 * index + 4)].reduce(0) { $0 << 8 | UInt32($1) } }
        seqnum = word(1)
        address = UInt8(word(4) & 15) | (word(3) == 1 ? 0x80 : 0)
        length = Int(word(6))
        self.isIso = isIso
        setup = Array(bytes[40..<48])
        let count = isIso ? Int(word(8)) : 0
        packets = (0..<count).compactMap { i in
            let first = bytes.count - 16 * (count - i)
            return try? IsoPacketDescriptor(decoding: Array(bytes[first..<(first + 16)]))
        }
    }
}

struct Talk {
    static let truth: [[[UInt8: KernelModel.Kind]]] = [
        [[0x81: .other, 2: .other, 0x83: .other]], [[:], [0x84: .iso, 5: .iso]],
        [[0x86: .iso], [0x86: .other, 7: .other], [7: .iso]],
    ]

    static let configuration: [UInt8] = TestDevice.configuration(
        1,
        truth.enumerated().flatMap { number, settings in
            settings.enumerated().map { setting, endpoints in
                TestDevice.interface(
                    UInt8(number), UInt8(setting),
                    endpoints.sorted { $0.key < $1.key }.map { TestDevice.endpoint($0.key, $0.value == .iso ? 1 : 2) })
            }
        })

    let session: GuardSession
    let size: Int
    var model = KernelModel(devid: GuardSession.devid, truth: Talk.truth)
    /// What the exporter's kernel has, and how many PDUs of the stream it has taken.
    var open: [Received] = []
    var unlinks: [(seqnum: UInt32, target: UInt32)] = []
    var taken = 0
    var seqnum: UInt32 = 0x2000
    /// Interfaces, and whether all of them, whose setting was withdrawn: the exporter's kernel may have set it, the
    /// importer's driver sends nothing there before another is set.
    private var unclear: Set<Int> = []
    private var isAllUnclear = false
    /// Endpoints that have answered since withdrawals went on last.
    private var heard: Set<UInt8> = []
    /// The peer did what no kernel does.
    var isTampered = false
    private var start = (commands: 0, replies: 0)

    init(_ role: GuardRole, size: Int, holdsWithdrawals: Bool) {
        var limits = GuardLimits()
        limits.holdsWithdrawals = holdsWithdrawals
        session = GuardSession(role, limits: limits)
        self.size = size
        session.command(Sample.requestImport)
        session.reply(Sample.replyImport)
        start = (session.commands.count, session.replies.count)
        session.configure(Talk.configuration)
        check()
        open = []
    }

    var isCommandsHostile: Bool { session.role == .exporter }

    mutating func check() {
        model.receive(commands: Array(session.commands[start.commands...]))
        model.ownAnswers = session.ownAnswers
        model.receive(replies: Array(session.replies[start.replies...]))
        must(model.fault == nil, "the kernel: \(String(describing: model.fault)); the guard: \(session.rules.sentence)")
        compare("command", model.commandEnds, session.commandEnds)
        compare("reply", model.replyEnds, session.replyEnds)
        must(session.strays == 0, "a withdrawal went on at no moment")
        must(isTampered || session.violation == nil, "honest traffic is refused: \(session.rules.sentence)")
        while taken < model.commandEnds.count { take() }
    }

    private func compare(_ what: String, _ kernel: [Int], _ guardian: [Int]) {
        if kernel == guardian { return }
        for i in 0..<max(kernel.count, guardian.count) {
            let ends = (i < kernel.count ? kernel[i] : -1, i < guardian.count ? guardian[i] : -1)
            must(ends.0 == ends.1, "\(what) \(i): the kernel's ends at \(ends.0), the guard's at \(ends.1)")
        }
    }

    /// The exporter's kernel has the next command whole.
    private mutating func take() {
        let first = start.commands + (taken > 0 ? model.commandEnds[taken - 1] : 0)
        let pdu = session.commands[first..<(start.commands + model.commandEnds[taken])]
        taken += 1
        let bytes = Array(pdu.prefix(48))
        if bytes[3] == 2 {
            let target = bytes[20..<24].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            if session.rules.limits.holdsWithdrawals, let request = open.first(where: { $0.seqnum == target }) {
                must(!heard.contains(request.slot), "a request was withdrawn that may have been ending")
            }
            unlinks.append((bytes[4..<8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }, target))
            return
        }
        open.append(Received(pdu, isIso: Talk.isIso(pdu, model)))
    }

    private static func isIso(_ pdu: ArraySlice<UInt8>, _ model: KernelModel) -> Bool {
        // As it was when it came: the model keeps that.
        let seqnum = pdu.dropFirst(4).prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return model.submitted[seqnum]?.isIso ?? false
    }

    // MARK: Steps

    mutating func step(_ input: inout Input) {
        let what = input.byte()
        switch what & 15 {
        case 0...4: submit(&input)
        case 5: set(&input)
        case 6: read()
        case 7: unlink(&input)
        case 8...11: answer(&input)
        case 12: answerUnlink(&input)
        case 13: tamperedHeader(&input)
        case 14: tamperedReplyOrBody(&input)
        default:
            isTampered = true
            hostile(input.bytes(1 + Int(what >> 4)))
        }
    }

    private func hostile(_ bytes: [UInt8]) {
        if isCommandsHostile { session.command(bytes, by: size) } else { session.reply(bytes, by: size) }
    }

    private mutating func next() -> UInt32 {
        seqnum += 1
        return seqnum
    }

    private var isSettingUnderWay: Bool { session.rules.settingsUnderWay > 0 }

    /// A request as a kernel makes it.
    private mutating func submit(_ input: inout Input) {
        var addresses: [UInt8] = [0, 0x80]
        for (interface, setting) in model.settings.enumerated()
        where model.isConfigured && !isAllUnclear && !unclear.contains(interface) {
            addresses += model.truth[interface][setting].keys.sorted()
        }
        let address = addresses[input.below(addresses.count)]
        guard let kind = model.kind(address) else { return }
        // A driver sends nothing to endpoints that are being changed.
        if isSettingUnderWay, address & 0x7F != 0 { return }
        let length = [0, 1, 5, 48, 100, 700, 2100][input.below(7)]
        let isIn = address & 0x80 != 0 && (kind != .control || length > 0)
        let count = kind == .iso ? input.below(4) : 0
        let each = length / max(1, count)
        let submit = CmdSubmit(
            transferFlags: kind == .other && length > 0 && input.bool() ? 0x0004_0201 : 0,
            transferBufferLength: Int32(length), numberOfPackets: kind == .iso || input.bool() ? Int32(count) : -1,
            setup: kind == .control
                ? SetupPacket(requestType: isIn ? 0xC0 : 0x40, request: 1, length: UInt16(length)) : SetupPacket())
        let header = PDUHeader(
            seqnum: next(), devid: GuardSession.devid, direction: isIn ? .in : .out, endpoint: UInt32(address & 15),
            body: .cmdSubmit(submit))
        let descriptors = (0..<count).flatMap { IsoPacketDescriptor(UInt32($0 * each), UInt32(each)).encode() }
        session.command(header.encode() + (isIn ? [] : payload(length)) + descriptors, by: size)
    }

    /// Data that look like a request, but for their first word: that would be refused where an endpoint is in doubt.
    private func payload(_ count: Int) -> [UInt8] {
        let header = PDUHeader(
            seqnum: 9, devid: GuardSession.devid, direction: .in, endpoint: 1, body: .cmdSubmit(.bytes(8))
        ).encode()
        return (0..<count).map { $0 < 4 ? 0xFF : header[$0 % 48] }
    }

    /// SET_CONFIGURATION or SET_INTERFACE, when nothing is on its way.
    private mutating func set(_ input: inout Input) {
        while let index = open.firstIndex(where: { $0.address & 0x7F != 0 }) {
            var honest = Input(UnsafeRawBufferPointer(start: nil, count: 0))
            answer(index, &honest)
            check()
        }
        guard !isSettingUnderWay, session.violation == nil else { return }
        let value = input.byte()
        let setup =
            value & 0x80 != 0
            ? SetupPacket(requestType: 1, request: 11, value: UInt16(value & 3), index: UInt16(value >> 2 & 3))
            : SetupPacket(request: 9, value: UInt16(value & 3))
        let header = PDUHeader(seqnum: next(), devid: GuardSession.devid, body: .cmdSubmit(CmdSubmit(setup: setup)))
        session.command(header.encode(), by: size)
    }

    /// The importer's kernel reads the configuration; answered at once, so that a hostile exporter has no part in it.
    private mutating func read() {
        let asked = Talk.configuration.count
        let header = PDUHeader(
            seqnum: next(), devid: GuardSession.devid, direction: .in,
            body: .cmdSubmit(CmdSubmit(transferBufferLength: Int32(asked), setup: GuardSession.get(asked))))
        guard session.rules.reply.isComplete else { return }
        session.command(header.encode(), by: size)
        check()
        guard let index = open.lastIndex(where: { $0.seqnum == seqnum }) else { return }
        var honest = Input(UnsafeRawBufferPointer(start: nil, count: 0))
        answer(index, &honest)
    }

    private mutating func unlink(_ input: inout Input) {
        let target = open.isEmpty ? seqnum : open[input.below(open.count)].seqnum
        let header = PDUHeader(
            seqnum: next(), devid: GuardSession.devid, body: .cmdUnlink(CmdUnlink(seqnum: target)))
        session.command(header.encode(), by: size)
    }

    // MARK: An exporter's honest kernel

    private mutating func answer(_ input: inout Input) {
        guard !open.isEmpty else { return }
        answer(input.below(open.count), &input)
    }

    private mutating func answer(_ index: Int, _ input: inout Input) {
        let request = open[index]
        var left = request.length
        let descriptors = request.packets.map { asked in
            let actual = min(left, Int(asked.length), input.bool() ? 1 : Int(asked.length))
            left -= actual
            return IsoPacketDescriptor(asked.offset, asked.length, UInt32(actual))
        }
        var moved = request.isIso ? request.length - left : input.bool() ? request.length / 2 : request.length
        var status: Int32 = 0
        var data = [UInt8](repeating: 0x42, count: request.address & 0x80 != 0 ? moved : 0)
        if request.setup[0] == 0x80, request.setup[1] == 6, request.setup[3] == 2 {
            if request.setup[2] == 0 {
                data = Array(Talk.configuration.prefix(request.length))
                moved = data.count
            } else {
                (status, moved, data) = (-32, 0, [])
            }
        } else if request.address & 0x7F == 0, !fulfils(request.setup) {
            status = -32
        }
        open.remove(at: index)
        heard.insert(request.slot)
        if status == 0 { note(request.setup, isClear: true) }
        let reply = RetSubmit(
            status: status, actualLength: Int32(moved), numberOfPackets: request.isIso ? Int32(descriptors.count) : 0)
        session.reply(
            PDUHeader(seqnum: request.seqnum, body: .retSubmit(reply)).encode() + data
                + descriptors.flatMap { $0.encode() }, by: size)
    }

    private mutating func note(_ setup: [UInt8], isClear: Bool) {
        if setup[0] == 0, setup[1] == 9 {
            isAllUnclear = !isClear
            if isClear { unclear = [] }
        } else if setup[0] == 1, setup[1] == 11 {
            if isClear { unclear.remove(Int(setup[4])) } else { unclear.insert(Int(setup[4])) }
        }
    }

    /// Whether a device says yes to what is set.
    private func fulfils(_ setup: [UInt8]) -> Bool {
        if setup[0] == 0, setup[1] == 9 { return setup[2] <= 1 && setup[3] == 0 }
        guard setup[0] == 1, setup[1] == 11 else { return true }
        return model.isConfigured && setup[3] == 0 && setup[5] == 0 && Int(setup[4]) < Talk.truth.count
            && Int(setup[2]) < Talk.truth[Int(setup[4])].count
    }

    /// In time; or too late, and then with or without the answer before it.
    private mutating func answerUnlink(_ input: inout Input) {
        guard !unlinks.isEmpty else { return release() }
        let unlink = unlinks.remove(at: input.below(unlinks.count))
        let index = open.firstIndex { $0.seqnum == unlink.target }
        let choice = input.below(3)
        if let index, choice == 0 {
            note(open.remove(at: index).setup, isClear: false)
            return unlinked(unlink.seqnum, -104)
        }
        if let index, choice == 1 { answer(index, &input) }
        unlinked(unlink.seqnum, 0)
        if choice == 2, let late = open.firstIndex(where: { $0.seqnum == unlink.target }) {
            let setup = open[late].setup
            answer(late, &input)
            note(setup, isClear: false)
        }
    }

    private mutating func release() {
        session.moment()
        check()
        heard = []
    }

    private func unlinked(_ number: UInt32, _ status: Int32) {
        session.reply(PDUHeader(seqnum: number, body: .retUnlink(RetUnlink(status: status))).encode(), by: size)
    }

    // MARK: What no kernel does

    /// A header of the peer's with up to three words that are anything.
    private mutating func tamperedHeader(_ input: inout Input) {
        isTampered = true
        var header: [UInt8]
        if isCommandsHostile {
            let length = input.number(0, 1, 48, 100, 0x7FFF_FFFF, 0xFFFF_FFFF, 16 << 20)
            let submit = CmdSubmit(
                transferFlags: input.number(0, 0x0004_0000, 1, 0x200), transferBufferLength: Int32(bitPattern: length),
                numberOfPackets: Int32(bitPattern: input.number(0, 1, 0xFFFF_FFFF, 1024, 1025)),
                setup: SetupPacket(
                    requestType: input.byte(), request: input.byte(), value: input.short().byteSwapped,
                    index: input.short(), length: UInt16(truncatingIfNeeded: length)))
            header = PDUHeader(
                seqnum: next(), devid: GuardSession.devid, direction: input.bool() ? .in : .out,
                endpoint: UInt32(input.byte() & 15), body: .cmdSubmit(submit)
            ).encode()
        } else {
            let request = open.isEmpty ? nil : open[input.below(open.count)]
            let length = input.number(0, UInt32(request?.length ?? 0), 1, 0x7FFF_FFFF, 0xFFFF_FFFF)
            let reply = RetSubmit(
                status: Int32(bitPattern: input.number(0, 0xFFFF_FF98, 0xFFFF_FF8D, 1)),
                actualLength: Int32(bitPattern: length),
                numberOfPackets: Int32(bitPattern: input.number(UInt32(request?.packets.count ?? 0), 0, 0xFFFF_FFFF)))
            header = PDUHeader(seqnum: request?.seqnum ?? seqnum, body: .retSubmit(reply)).encode()
        }
        for _ in 0..<input.below(3) {
            let place = input.below(12) * 4
            for (i, byte) in withUnsafeBytes(of: input.word().bigEndian, Array.init).enumerated() {
                header[place + i] = byte
            }
        }
        hostile(header)
    }

    /// Descriptors or data of the peer's, well or badly made.
    private mutating func tamperedReplyOrBody(_ input: inout Input) {
        isTampered = true
        let count = input.below(5)
        guard count > 0 else { return hostile(payload(input.below(200))) }
        for _ in 0..<count {
            let descriptor = IsoPacketDescriptor(
                input.number(0, 100, 0xFFFF_FFFF), input.number(0, 1, 100, 0x7FFF_FFFF), input.number(0, 1, 100))
            hostile(descriptor.encode())
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
@testable import USBIP

/// One connection past a guard, driven as the data path drives it.
final class GuardSession {
    let rules: Guard
    let role: GuardRole
    /// What came out, and what has come and waits.
    private(set) var commands: [UInt8] = []
    private(set) var replies: [UInt8] = []
    private var waitingCommands: [UInt8] = []
    private var waitingReplies: [UInt8] = []
    /// The exporter's kernel has more to send than goes on.
    var isBackedUp = false
    private var isMoment = false
    /// Microseconds.
    var now: UInt64 = 1
    /// Withdrawals that went on at another time.
    private(set) var strays = 0
    /// The targets of withdrawals, by number, that did not go on when they came, and that the guard has answered.
    private var withheld: [UInt32: UInt32] = [:]
    private(set) var ownAnswers: [UInt32: UInt32] = [:]
    /// Offsets in what came out behind the import at which a PDU was complete.
    private(set) var commandEnds: [Int] = []
    private(set) var replyEnds: [Int] = []
    private var importEnds = (commands: 0, replies: 0)
    /// The numbers that the builders below use.
    var seqnum: UInt32 = 0x1000
    static let devid: UInt32 = 0x0003_0002

    init(_ role: GuardRole, limits: GuardLimits = GuardLimits()) {
        self.role = role
        rules = Guard(role, limits: limits)
    }

    /// With an import behind it, and maybe a device whose configuration was read and set.
    static func imported(
        _ role: GuardRole, limits: GuardLimits = GuardLimits(), configured: [UInt8]? = TestDevice.configuration
    ) -> GuardSession {
        let session = GuardSession(role, limits: limits)
        session.command(Sample.requestImport)
        session.reply(Sample.replyImport)
        if let configured { session.configure(configured) }
        return session
    }

    var violation: GuardViolation? { rules.violation }
    var waits: Bool { !waitingCommands.isEmpty }

    // MARK: Bytes

    func command(_ bytes: [UInt8], by size: Int = .max) { feed(bytes, by: size) { waitingCommands += $0 } }
    func reply(_ bytes: [UInt8], by size: Int = .max) { feed(bytes, by: size) { waitingReplies += $0 } }

    /// What waited may go on.
    func push() { drain(isCommand: true) }

    /// Withdrawals that are held may go on.
    func moment(isClear: Bool = true) {
        isMoment = true
        now += 300_000
        rules.releaseWithdrawals(isClear: isClear, now: now)
        drain(isCommand: true)
        rules.recallWithdrawals()
        insert(role == .exporter ? .outward : .inward, isCommand: false)
        isMoment = false
    }

    private func feed(_ bytes: [UInt8], by size: Int, _ add: ([UInt8]) -> Void) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(size)
            rest = rest.dropFirst(piece.count)
            add(Array(piece))
            // Replies first: they may be what commands wait for.
            drain(isCommand: false)
            if waitingReplies.isEmpty, !isBackedUp { rules.settle() }
            drain(isCommand: true)
            insert(role == .exporter ? .outward : .inward, isCommand: false)
        }
    }

    private func drain(isCommand: Bool) {
        let direction: GuardDirection = isCommand == (role == .exporter) ? .inward : .outward
        while true {
            insert(direction, isCommand: isCommand)
            let waiting = isCommand ? waitingCommands : waitingReplies
            let unread = rules.unread(direction)
            if unread > 0, !waiting.isEmpty, violation == nil {
                let count = min(unread, waiting.count)
                rules.passed(direction, count)
                move(isCommand, Array(waiting[..<count]), count)
                continue
            }
            var copy = waiting
            switch copy.withUnsafeMutableBytes({ rules.judge(direction, $0) }) {
            case .pass(let count): move(isCommand, Array(copy[..<count]), count)
            case .drop(let count): move(isCommand, [], count)
            case .more, .wait, .refuse: return
            }
        }
    }

    private static func word(_ bytes: [UInt8], _ index: Int) -> UInt32 {
        bytes[(4 * index)..<(4 * index + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private func insert(_ direction: GuardDirection, isCommand: Bool) {
        var header = zeros(PDUHeader.size)
        while header.withUnsafeMutableBytes({ rules.insert(direction, $0) }) {
            if isCommand {
                if !isMoment { strays += 1 }
                commands += header
                commandEnds.append(commands.count - importEnds.commands)
            } else {
                replies += header
                let number = Self.word(header, 1)
                ownAnswers[number] = withheld[number] ?? 0
                replyEnds.append(replies.count - importEnds.replies)
            }
        }
    }

    private func move(_ isCommand: Bool, _ bytes: [UInt8], _ count: Int) {
        if isCommand {
            commands += bytes
            if bytes.isEmpty { withheld[Self.word(waitingCommands, 1)] = Self.word(waitingCommands, 5) }
            waitingCommands.removeFirst(count)
            if bytes.isEmpty { return }
            if rules.phase != .requests {
                importEnds.commands = commands.count
            } else if rules.command.isComplete {
                commandEnds.append(commands.count - importEnds.commands)
            }
        } else {
            replies += bytes
            waitingReplies.removeFirst(count)
            if replies.count <= 320 {
                importEnds.replies = replies.count
            } else if rules.reply.isComplete, !rules.reply.isDropped {
                replyEnds.append(replies.count - importEnds.replies)
            }
        }
    }

    // MARK: Requests, and answers to the last one

    func next() -> UInt32 {
        seqnum += 1
        return seqnum
    }

    @discardableResult
    func submit(
        _ endpoint: UInt32, _ direction: TransferDirection, _ submit: CmdSubmit, payload: [UInt8] = [],
        descriptors: [IsoPacketDescriptor] = []
    ) -> UInt32 {
        let header = PDUHeader(
            seqnum: next(), devid: Self.devid, direction: direction, endpoint: endpoint, body: .cmdSubmit(submit))
        command(header.encode() + payload + descriptors.flatMap { $0.encode() })
        return seqnum
    }

    func answer(
        _ number: UInt32? = nil, _ answer: RetSubmit = RetSubmit(), payload: [UInt8] = [],
        descriptors: [IsoPacketDescriptor] = []
    ) {
        let header = PDUHeader(seqnum: number ?? seqnum, body: .retSubmit(answer))
        reply(header.encode() + payload + descriptors.flatMap { $0.encode() })
    }

    @discardableResult
    func unlink(_ target: UInt32) -> UInt32 {
        command(
            PDUHeader(seqnum: next(), devid: Self.devid, body: .cmdUnlink(CmdUnlink(seqnum: target))).encode())
        return seqnum
    }

    func unlinked(_ number: UInt32, _ status: Int32) {
        reply(PDUHeader(seqnum: number, body: .retUnlink(RetUnlink(status: status))).encode())
    }

    @discardableResult
    func control(_ setup: SetupPacket, payload: [UInt8] = []) -> UInt32 {
        let isIn = setup.direction == .in && setup.length > 0
        return submit(
            0, isIn ? .in : .out, CmdSubmit(transferBufferLength: Int32(setup.length), setup: setup), payload: payload)
    }

    static func get(_ length: Int, index: UInt16 = 0) -> SetupPacket {
        SetupPacket(requestType: 0x80, request: 6, value: 0x0200 | index, length: UInt16(length))
    }

    /// Reads a configuration, as much as was asked for.
    /// - Parameter index: nil for the usual one of its value, which counts from 1.
    func read(_ configuration: [UInt8], asked: Int? = nil, index: UInt16? = nil) {
        let value = configuration.count > 5 ? UInt16(configuration[5]) : 1
        control(Self.get(asked ?? configuration.count, index: index ?? max(value, 1) - 1))
        let found = Array(configuration.prefix(asked ?? .max))
        answer(nil, RetSubmit(actualLength: Int32(found.count)), payload: found)
    }

    func set(configuration: UInt16) {
        control(SetupPacket(request: 9, value: configuration))
        answer()
    }

    func set(interface: UInt16, _ setting: UInt16) {
        control(SetupPacket(requestType: 1, request: 11, value: setting, index: interface))
        answer()
    }

    /// As the kernel does it: a look at the length, all of it, SET_CONFIGURATION.
    func configure(_ configuration: [UInt8]) {
        read(configuration, asked: 9)
        read(configuration)
        set(configuration: UInt16(configuration[5]))
    }

    /// Whether a request to an endpoint passes.
    func takes(_ endpoint: UInt32, _ direction: TransferDirection) -> Bool {
        submit(endpoint, direction, CmdSubmit())
        return violation == nil
    }
}

/// A device with endpoints of every kind.
enum TestDevice {
    static func endpoint(_ address: UInt8, _ type: UInt8) -> [UInt8] { [7, 5, address, type, 0, 2, 1] }
    static func interface(_ number: UInt8, _ setting: UInt8 = 0, _ endpoints: [[UInt8]] = []) -> [UInt8] {
        [9, 4, number, setting, UInt8(endpoints.count), 0xFF, 0, 0, 0] + endpoints.flatMap { $0 }
    }
    static func configuration(_ value: UInt8, _ parts: [[UInt8]]) -> [UInt8] {
        let body = parts.flatMap { $0 }
        let length = 9 + body.count
        let interfaces = UInt8(truncatingIfNeeded: parts.count)
        return [9, 2, UInt8(length & 255), UInt8(length >> 8), interfaces, value, 0, 0x80, 50] + body
    }

    /// Bulk in 1 and out 2, interrupt in 3; isochronous in 4 and out 5 in the second setting of interface 1.
    static let configuration = configuration(
        1,
        [
            interface(0, 0, [endpoint(0x81, 2), endpoint(0x02, 2), endpoint(0x83, 3)]), interface(1),
            interface(1, 1, [endpoint(0x84, 1), endpoint(0x05, 1)]),
        ])

    static let roles = [GuardRole.exporter, .importer]
}

extension CmdSubmit {
    static func bytes(_ count: Int32, packets: Int32 = 0, flags: UInt32 = 0) -> CmdSubmit {
        CmdSubmit(transferFlags: flags, transferBufferLength: count, numberOfPackets: packets)
    }
}

extension IsoPacketDescriptor {
    init(_ offset: UInt32, _ length: UInt32, _ actual: UInt32 = 0) {
        self.init(offset: offset, length: length, actualLength: actual, status: 0)
    }
}

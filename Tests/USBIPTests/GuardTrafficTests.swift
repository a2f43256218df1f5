// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import USBIP

/// What real programs and kernels say passes the guard, on both sides, however it is cut.
struct GuardTrafficTests {
    /// A PDU of one of the two streams.
    struct Piece {
        let isCommand: Bool
        let bytes: [UInt8]
    }

    /// The PDUs of a recording in an order in which they may have been said: a reply right behind its command.
    static func conversation(_ commands: [UInt8], _ replies: [UInt8], iso: Bool) throws -> [Piece] {
        var pieces: [Piece] = []
        var asked: [UInt32: PDUHeader] = [:]
        var rest = replies[...]
        func answer() throws {
            while rest.count >= 48 {
                let header = try PDUHeader(decoding: Array(rest.prefix(48)))
                guard let command = asked[header.seqnum] else { return }
                var length = 48
                if case .retSubmit(let reply) = header.body {
                    length += command.direction == .in ? Int(reply.actualLength) : 0
                    length += iso && command.endpoint != 0 ? 16 * Int(reply.numberOfPackets) : 0
                }
                pieces.append(Piece(isCommand: false, bytes: Array(rest.prefix(length))))
                rest = rest.dropFirst(length)
            }
        }
        var position = 0
        while position < commands.count {
            let header = try PDUHeader(decoding: Array(commands[position..<(position + 48)]))
            var length = 48
            if case .cmdSubmit(let submit) = header.body {
                length += header.direction == .out ? Int(submit.transferBufferLength) : 0
                length += iso && header.endpoint != 0 ? 16 * Int(submit.numberOfPackets) : 0
            }
            pieces.append(Piece(isCommand: true, bytes: Array(commands[position..<(position + length)])))
            position += length
            asked[header.seqnum] = header
            try answer()
        }
        #expect(rest.isEmpty)
        return pieces
    }

    /// The device is announced as what it says itself to be, in a descriptor of 18 bytes.
    private static func reply(_ pieces: [Piece]) -> [UInt8] {
        var record = Sample.record
        record.busnum = 1
        record.devnum = 2
        if let own = pieces.first(where: { !$0.isCommand && $0.bytes.dropFirst(48).starts(with: [18, 1]) })?.bytes {
            record.vendor = UInt16(own[57]) << 8 | UInt16(own[56])
            record.product = UInt16(own[59]) << 8 | UInt16(own[58])
        }
        return Operation.replyImport(record)
    }

    /// Says it all, and what must have come out.
    private func say(_ pieces: [Piece], _ role: GuardRole, _ prepare: (GuardSession) -> Void, by size: (Piece) -> [Int])
    {
        let session = GuardSession(role)
        session.command(Sample.requestImport)
        session.reply(Self.reply(pieces))
        prepare(session)
        let before = (session.commands.count, session.replies.count)
        for piece in pieces {
            var rest = piece.bytes[...]
            for count in size(piece) + [Int.max] {
                let part = Array(rest.prefix(count))
                rest = rest.dropFirst(part.count)
                if piece.isCommand { session.command(part) } else { session.reply(part) }
            }
        }
        #expect(session.violation == nil, "\(session.rules.sentence)")
        let commands = pieces.filter(\.isCommand).map { Self.asItPasses($0.bytes) }
        #expect(Array(session.commands[before.0...]) == commands.flatMap { $0 })
        #expect(Array(session.replies[before.1...]) == pieces.filter { !$0.isCommand }.flatMap(\.bytes))
    }

    /// What a guard changes in a command.
    private static func asItPasses(_ command: [UInt8]) -> [UInt8] {
        guard command[3] == 1 else { return command }
        var command = command
        // A control request without data that says "in": what the kernel expects is "out".
        if command[15] == 1, command[19] == 0, command[46] == 0, command[47] == 0 {
            command = command.replacing(at: 12, with: "00000000")
        }
        // No packets are 0, and not -1.
        if command[32] == 0xFF { command = command.replacing(at: 32, with: "00000000") }
        return command
    }

    private func everyCut(_ pieces: [Piece], _ role: GuardRole, _ prepare: (GuardSession) -> Void = { _ in }) {
        for size in [1, 7, 47, 48, 49, 100_000] {
            say(pieces, role, prepare) { [Int](repeating: size, count: ($0.bytes.count - 1) / size) }
        }
        let longest = pieces.map(\.bytes.count).max() ?? 0
        for position in 1..<longest { say(pieces, role, prepare) { [min(position, $0.bytes.count)] } }
    }

    @Test("an independent client and server, cut at every byte", arguments: TestDevice.roles)
    func recorded(_ role: GuardRole) throws {
        let pieces = try Self.conversation(RecordedTrafficTests.commands, RecordedTrafficTests.replies, iso: false)
        #expect(pieces.count == 13 + 11)
        everyCut(pieces, role)
    }

    /// Recorded between Linux's own drivers, from the first byte of the import on.
    @Test("Linux's drivers, in pieces", arguments: KernelTrafficTests.Device.allCases, TestDevice.roles)
    func kernels(_ device: KernelTrafficTests.Device, _ role: GuardRole) throws {
        let request = try KernelTrafficTests.stream(device, "commands", after: 0)
        let answer = try KernelTrafficTests.stream(device, "replies", after: 0)
        let pieces = try Self.conversation(
            Array(request.dropFirst(40)), Array(answer.dropFirst(320)), iso: device == .sound)
        for size in [1, 7, 47, 48, 49, 60, 100_000] {
            let session = GuardSession(role)
            session.command(Array(request.prefix(40)), by: size)
            session.reply(Array(answer.prefix(320)), by: size)
            for piece in pieces {
                if piece.isCommand {
                    session.command(piece.bytes, by: size)
                } else {
                    session.reply(piece.bytes, by: size)
                }
            }
            #expect(session.violation == nil, "\(session.rules.sentence)")
            #expect(session.replies == Array(answer.prefix(320)) + pieces.filter { !$0.isCommand }.flatMap(\.bytes))
            var sent = session.commands.dropFirst(40)
            for piece in pieces where piece.isCommand {
                let passed = Array(sent.prefix(piece.bytes.count))
                sent = sent.dropFirst(passed.count)
                // Only flags may be fewer, and a disk's scattered buffers stay. Linux leaves what an URB was before in
                // the setup of one that is not control.
                let isControl = passed[16..<20].allSatisfy { $0 == 0 }
                let expected = isControl ? piece.bytes : piece.bytes.replacing(at: 40, with: "0000000000000000")
                #expect(Self.withoutFlags(passed) == Self.withoutFlags(expected))
                #expect(passed[21] & 4 == piece.bytes[21] & 4)
            }
            #expect(sent.isEmpty)
        }
    }

    private static func withoutFlags(_ command: [UInt8]) -> [UInt8] { command.replacing(at: 20, with: "00000000") }

    /// The recorded client reads no configuration, since it knows the device; a kernel would, and so the test does.
    @Test("recorded isochronous traffic, cut at every byte", arguments: TestDevice.roles)
    func recordedIsochronous(_ role: GuardRole) throws {
        let pieces = try Self.conversation(
            RecordedTrafficTests.isoCommands, RecordedTrafficTests.isoReplies, iso: true)
        let configuration = TestDevice.configuration(
            1, [TestDevice.interface(0, 0, [TestDevice.endpoint(0x81, 1), TestDevice.endpoint(0x02, 1)])])
        everyCut(pieces, role) { session in
            let header = PDUHeader(
                seqnum: 0x9999, devid: 0x10002, direction: .in, endpoint: 0,
                body: .cmdSubmit(CmdSubmit(transferBufferLength: 25, setup: GuardSession.get(25))))
            #expect(configuration.count == 32)
            session.command(header.replacing(length: 32).encode())
            session.answer(0x9999, RetSubmit(actualLength: 32), payload: configuration)
        }
    }

    /// Lists, refused imports, and another list on the same connection.
    @Test("the operation phase, in pieces of any size", arguments: TestDevice.roles)
    func operations(_ role: GuardRole) {
        let refusal = bytes("01 11 00 03 00 00 00 01")
        for size in [1, 2, 7, 8, 39, 40, 313, 5000] {
            let session = GuardSession(role)
            for _ in 0..<2 {
                session.command(Sample.requestList, by: size)
                session.reply(Sample.list, by: size)
            }
            session.command(Sample.requestImport, by: size)
            session.reply(refusal, by: size)
            #expect(session.violation == nil, "\(session.rules.sentence)")
            #expect(session.commands == Sample.requestList + Sample.requestList + Sample.requestImport)
            #expect(session.replies == Sample.list + Sample.list + refusal)
            session.command([1])
            #expect(session.violation == .tooLate)
        }
    }

    /// What `usbip list -r` and `usbip attach` of Debian sent.
    @Test("stock tools", arguments: TestDevice.roles)
    func stockTools(_ role: GuardRole) {
        let session = GuardSession(role)
        session.command(bytes("0111800500000000"))
        #expect(session.commands.count == 8)
        let other = GuardSession(role)
        let attach = bytes("0111800300000000332d322e31000000000000000000000000000000000000000000000000000000")
        for byte in attach.dropLast() { other.command([byte]) }
        #expect(other.commands.isEmpty, "a request passes when it is complete")
        other.command([0])
        #expect(other.commands == attach)
    }

    @Test("all kinds of transfers of a device", arguments: TestDevice.roles)
    func transfers(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        session.set(interface: 1, 1)
        let data = [UInt8](repeating: 0xA5, count: 300_000)
        session.submit(2, .out, .bytes(300_000, flags: 0x0004_0000), payload: data)
        session.answer(nil, RetSubmit(actualLength: 300_000))
        session.submit(1, .in, .bytes(300_000, packets: -1, flags: 0x0004_0201))
        session.answer(nil, RetSubmit(actualLength: 299_999, numberOfPackets: -1), payload: Array(data.dropLast()))
        session.submit(1, .in, .bytes(512))
        session.answer(nil, RetSubmit(status: -32))
        session.submit(3, .in, .bytes(8))
        session.submit(4, .in, .bytes(12, packets: 3), descriptors: [.init(0, 4), .init(4, 4), .init(8, 4)])
        session.answer(
            nil, RetSubmit(actualLength: 5, numberOfPackets: 3, errorCount: 1), payload: [1, 2, 3, 4, 5],
            descriptors: [.init(0, 4, 4), .init(4, 4, 0), .init(8, 4, 1)])
        session.submit(5, .out, .bytes(4, packets: 2), payload: [1, 2, 3, 4], descriptors: [.init(0, 2), .init(2, 2)])
        session.answer(
            nil, RetSubmit(actualLength: 4, numberOfPackets: 2), descriptors: [.init(0, 2, 2), .init(2, 2, 2)])
        session.submit(5, .out, .bytes(4), payload: [1, 2, 3, 4])
        session.answer(nil, RetSubmit(actualLength: 4))
        #expect(session.violation == nil, "\(session.rules.sentence)")
        #expect(session.rules.outstanding.count == 1)
        #expect(session.rules.requests == 11)
    }

    @Test("every violation has a sentence of its own, in printable ASCII")
    func sentences() {
        let all = GuardViolation.allCases.map(\.text)
        #expect(Set(all).count == all.count)
        for text in all {
            #expect(text.utf8.count > 20 && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "\(text)")
        }
        #expect(GuardViolation.configurationTooLarge.text.hasPrefix("configurations have"))
        #expect(GuardViolation.operation.text.hasPrefix("the operation"))
    }
}

extension PDUHeader {
    /// With another length to be read.
    func replacing(length: UInt16) -> PDUHeader {
        var header = self
        header.body = .cmdSubmit(
            CmdSubmit(transferBufferLength: Int32(length), setup: GuardSession.get(Int(length))))
        return header
    }
}

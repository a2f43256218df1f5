// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import USBIP

/// What the guard refuses, each rule by itself, on both sides; and what it only just allows.
@Suite struct GuardViolationTests {
    static let roles = TestDevice.roles
    private static let in64 = PDUHeader(
        seqnum: 77, devid: GuardSession.devid, direction: .in, endpoint: 1, body: .cmdSubmit(.bytes(64))
    ).encode()
    private static let getStatus = PDUHeader(
        seqnum: 77, devid: GuardSession.devid, direction: .in, endpoint: 0,
        body: .cmdSubmit(CmdSubmit(transferBufferLength: 2, setup: SetupPacket(requestType: 0x80, length: 2)))
    ).encode()

    /// Says something to a configured device, and finds what was refused; nothing of it may have passed.
    private func expect(
        _ violation: GuardViolation, _ role: GuardRole, _ sentence: String? = nil,
        _ location: SourceLocation = #_sourceLocation, _ body: (GuardSession) -> Void
    ) {
        let session = GuardSession.imported(role)
        body(session)
        #expect(session.violation == violation, "\(session.rules.sentence)", sourceLocation: location)
        if let sentence { #expect(session.rules.sentence.hasSuffix(sentence), sourceLocation: location) }
        // For good.
        let passed = (session.commands.count, session.replies.count)
        session.submit(1, .in, .bytes(64))
        session.answer()
        #expect(passed == (session.commands.count, session.replies.count), sourceLocation: location)
        #expect(session.violation == violation, sourceLocation: location)
    }

    private func expectCommand(
        _ violation: GuardViolation, _ role: GuardRole, at offset: Int, _ hex: String, of header: [UInt8] = in64,
        _ location: SourceLocation = #_sourceLocation
    ) {
        expect(violation, role, nil, location) { session in
            let before = session.commands.count
            session.command(header.replacing(at: offset, with: hex))
            #expect(session.commands.count == before, sourceLocation: location)
        }
    }

    // MARK: Operations

    @Test(arguments: roles) func operationsThatAreNone(_ role: GuardRole) {
        for bad in ["01 10 80 03 00 00 00 00", "01 11 80 02 00 00 00 00", "01 11 00 03 00 00 00 00"] {
            let session = GuardSession(role)
            session.command(bytes(bad))
            #expect(session.violation == .operation && session.commands.isEmpty)
            #expect(session.rules.sentence.utf8.count > 20)
        }
        let session = GuardSession(role)
        session.command(bytes("01 11 80 03 00 00 00 00") + zeros(32))
        #expect(session.violation == .operation && session.commands.isEmpty)
    }

    @Test(arguments: roles) func aReplyForAnotherDevice(_ role: GuardRole) {
        let session = GuardSession(role)
        session.command(Operation.requestImport(BusID("1-1")!))
        session.reply(Sample.replyImport)
        #expect(session.violation == .operation && session.replies.isEmpty)
    }

    @Test(arguments: roles) func anAnswerWithoutARequest(_ role: GuardRole) {
        let session = GuardSession(role)
        session.reply(Sample.replyImport)
        #expect(session.violation == .notAsked && session.replies.isEmpty)
    }

    @Test(arguments: roles) func nothingPassesBehindARefusal(_ role: GuardRole) {
        for isCommand in [false, true] {
            let session = GuardSession(role)
            session.command(Sample.requestImport)
            session.reply(bytes("01 11 00 03 00 00 00 01"))
            if isCommand { session.command(Self.in64) } else { session.reply(PDUSample.retSubmit.bytes) }
            #expect(session.violation == .tooLate)
        }
    }

    // MARK: Headers

    @Test(arguments: roles) func messagesOfTheOtherWay(_ role: GuardRole) {
        for command in ["00000000", "00000003", "00000004", "00000005", "80000001"] {
            expectCommand(.wrongKind, role, at: 0, command)
        }
        for command in ["00000000", "00000001", "00000002", "00000005"] {
            expect(.wrongKind, role) { $0.reply(PDUSample.retSubmit.head.replacing(at: 0, with: command)) }
        }
    }

    @Test(arguments: roles) func otherDevices(_ role: GuardRole) {
        for devid in ["00030003", "00000000", "FFFFFFFF"] {
            expectCommand(.otherDevice, role, at: 8, devid)
            let unlink = PDUSample.cmdUnlink.head
            expectCommand(.otherDevice, role, at: 8, devid, of: unlink)
        }
    }

    @Test(arguments: roles) func directionsAndEndpoints(_ role: GuardRole) {
        for direction in ["00000002", "00000080", "FFFFFFFF"] { expectCommand(.badDirection, role, at: 12, direction) }
        for endpoint in ["00000002", "0000000F", "00000010", "00000081", "FFFFFFFF", "80000000"] {
            expectCommand(.noEndpoint, role, at: 16, endpoint)
        }
    }

    @Test(arguments: roles) func numbersInUse(_ role: GuardRole) {
        expect(.seqnumInUse, role, " 4100") { session in
            let first = session.submit(1, .in, .bytes(64))
            session.seqnum = first - 1
            session.submit(1, .in, .bytes(64))
        }
        expect(.seqnumInUse, role) { session in
            let first = session.submit(1, .in, .bytes(64))
            session.seqnum = first - 1
            session.unlink(first)
        }
    }

    @Test(arguments: roles) func tooManyRequests(_ role: GuardRole) {
        expect(.tooManyOutstanding, role, " 1024") { session in
            for _ in 0..<1024 { session.submit(1, .in, .bytes(64)) }
            #expect(session.violation == nil)
            session.submit(1, .in, .bytes(64))
        }
        let session = GuardSession.imported(role)
        for _ in 0..<5000 {
            session.submit(1, .in, .bytes(64))
            session.answer()
        }
        #expect(session.violation == nil && session.rules.outstanding.count == 0)
    }

    @Test(arguments: roles) func lengths(_ role: GuardRole) {
        for length in ["01000001", "7FFFFFFF", "80000000", "FFFFFFFF"] {
            expectCommand(.badLength, role, at: 24, length)
            expectCommand(.badLength, role, at: 24, length, of: Self.in64.replacing(at: 12, with: "00000000 00000002"))
        }
        var limits = GuardLimits()
        limits.transferBytes = 100
        let session = GuardSession.imported(role, limits: limits)
        session.submit(1, .in, .bytes(100))
        #expect(session.violation == nil)
        session.submit(1, .in, .bytes(101))
        #expect(session.violation == .badLength)
    }

    @Test(arguments: roles) func packetCounts(_ role: GuardRole) {
        for packets in ["00000401", "7FFFFFFF", "FFFFFFFE", "80000000"] {
            expectCommand(.badPacketCount, role, at: 32, packets)
            expect(.badPacketCount, role) {
                $0.set(interface: 1, 1)
                $0.command(Self.in64.replacing(at: 16, with: "00000004").replacing(at: 32, with: packets))
            }
        }
        expect(.badPacketCount, role) {
            $0.set(interface: 1, 1)
            $0.submit(4, .in, .bytes(8, packets: -1))
        }
    }

    // MARK: Control requests and flags

    @Test(arguments: roles) func setupAndHeader(_ role: GuardRole) {
        expectCommand(.setupLength, role, at: 24, "00000003", of: Self.getStatus)
        expectCommand(.setupLength, role, at: 24, "00000000", of: Self.getStatus)
        expectCommand(.setupLength, role, at: 46, "0100", of: Self.getStatus)
        expectCommand(.setupDirection, role, at: 12, "00000000", of: Self.getStatus)
        expectCommand(.setupDirection, role, at: 40, "00", of: Self.getStatus)
    }

    /// "in" without data becomes "out", as the kernel expects it; nothing else of the request changes.
    @Test(arguments: roles) func anEmptyControlRequest(_ role: GuardRole) {
        for requestType in ["80", "00", "21"] {
            let session = GuardSession.imported(role)
            let request = Self.getStatus.replacing(at: 24, with: "00000000").replacing(at: 46, with: "0000")
                .replacing(at: 40, with: requestType)
            session.command(request)
            #expect(session.violation == nil)
            #expect(session.commands.suffix(48) == request.replacing(at: 12, with: "00000000"))
            session.answer(77)
            #expect(session.violation == nil)
        }
    }

    @Test(arguments: roles) func scatteredBuffers(_ role: GuardRole) {
        let flag = "00040000"
        expectCommand(.scatterGather, role, at: 20, flag, of: Self.getStatus)
        expectCommand(.scatterGather, role, at: 20, flag, of: Self.in64.replacing(at: 24, with: "00000000"))
        expect(.scatterGather, role) {
            $0.set(interface: 1, 1)
            $0.submit(4, .in, .bytes(8, packets: 1, flags: 0x0004_0000))
        }
    }

    /// What passes of 32 set flags, by the type of the endpoint.
    @Test(arguments: roles) func flagsThatAreTakenAway(_ role: GuardRole) {
        let all: UInt32 = 0xFFFF_FFFF
        let table: [(UInt32, TransferDirection, UInt32, UInt32)] = [
            (1, .in, all, 0x0004_0281), (2, .out, all, 0x0004_02C0), (3, .in, all, 0x0004_0281),
            (4, .in, ~0x0004_0000, 0x0000_0282), (5, .out, ~0x0004_0000, 0x0000_0282),
        ]
        for (endpoint, direction, flags, expected) in table {
            let session = GuardSession.imported(role)
            session.set(interface: 1, 1)
            session.submit(
                endpoint, direction, .bytes(1, flags: flags), payload: direction == .out ? [9] : [])
            #expect(session.violation == nil)
            let header = session.commands.suffix(direction == .out ? 49 : 48)
            #expect(Array(header)[20...23].reduce(0) { $0 << 8 | UInt32($1) } == expected)
        }
        let session = GuardSession.imported(role)
        session.command(Self.getStatus.replacing(at: 20, with: "FFFBFFFF"))
        #expect(session.commands.suffix(48) == Self.getStatus.replacing(at: 20, with: "00000281"))
    }

    // MARK: Isochronous packets

    @Test(arguments: roles) func packetsOutsideOfTheirTransfer(_ role: GuardRole) {
        for bad in [
            IsoPacketDescriptor(0, 9), .init(8, 1), .init(9, 0), .init(4, 5), .init(.max, 1), .init(1, .max),
            .init(0x8000_0000, 0x8000_0000),
        ] {
            expect(.packetOutside, role) {
                $0.set(interface: 1, 1)
                $0.submit(4, .in, .bytes(8, packets: 2), descriptors: [.init(0, 8), bad])
            }
            expect(.packetOutside, role) {
                $0.set(interface: 1, 1)
                $0.submit(4, .in, .bytes(8, packets: 2), descriptors: [.init(0, 4), .init(4, 4)])
                $0.answer(nil, RetSubmit(numberOfPackets: 2), descriptors: [bad, .init(0, 4)])
            }
        }
        expect(.packetOutside, role) {
            $0.set(interface: 1, 1)
            $0.submit(4, .in, .bytes(8, packets: 1), descriptors: [.init(0, 4)])
            $0.answer(
                nil, RetSubmit(actualLength: 5, numberOfPackets: 1), payload: zeros(5), descriptors: [.init(0, 4, 5)])
        }
    }

    @Test(arguments: roles) func packetsThatDoNotAddUp(_ role: GuardRole) {
        for actual: UInt32 in [1, 3] {
            expect(.packetTotal, role) {
                $0.set(interface: 1, 1)
                $0.submit(4, .in, .bytes(8, packets: 2), descriptors: [.init(0, 4), .init(4, 4)])
                let reply = RetSubmit(actualLength: 2, numberOfPackets: 2)
                $0.answer(nil, reply, payload: [1, 2], descriptors: [.init(0, 4), .init(4, 4, actual)])
            }
        }
        // A command's packets have moved nothing yet, also not around all of 32 bits.
        expect(.packetTotal, role) {
            $0.set(interface: 1, 1)
            $0.submit(4, .in, .bytes(8, packets: 2), descriptors: [.init(0, 4), .init(4, 4, 1)])
        }
    }

    // MARK: Replies

    @Test(arguments: roles) func answersToNothing(_ role: GuardRole) {
        expect(.answersNothing, role, " 99") { $0.answer(99) }
        expect(.answersNothing, role) { $0.unlinked(99, 0) }
        expect(.answersNothing, role) {
            $0.submit(1, .in, .bytes(64))
            $0.answer()
            $0.answer()
        }
        expect(.answersNothing, role) {
            $0.submit(1, .in, .bytes(64))
            $0.unlinked($0.seqnum, 0)
        }
        expect(.answersNothing, role) {
            $0.unlink($0.submit(1, .in, .bytes(64)))
            $0.answer($0.seqnum)
        }
        expect(.answersNothing, role) {
            let number = $0.unlink(12345)
            $0.unlinked(number, 0)
            $0.unlinked(number, 0)
        }
    }

    @Test(arguments: roles) func statuses(_ role: GuardRole) {
        for status: Int32 in [1, 115, .max, -115, -134, -4095, .min] {
            expect(.badStatus, role) {
                $0.submit(1, .in, .bytes(64))
                $0.answer(nil, RetSubmit(status: status))
            }
            expect(.badStatus, role) { $0.unlinked($0.unlink($0.submit(1, .in, .bytes(64))), status) }
        }
        for status: Int32 in [0, -2, -5, -18, -19, -32, -62, -71, -75, -84, -104, -108, -110, -121, -133] {
            let session = GuardSession.imported(role)
            session.submit(1, .in, .bytes(64))
            session.answer(nil, RetSubmit(status: status))
            #expect(session.violation == nil, "\(status)")
        }
    }

    @Test(arguments: roles) func moreThanAsked(_ role: GuardRole) {
        for length: Int32 in [65, .max, -1, .min] {
            expect(.longerThanAsked, role) {
                $0.submit(1, .in, .bytes(64))
                $0.answer(nil, RetSubmit(actualLength: length))
            }
            expect(.longerThanAsked, role) {
                $0.submit(2, .out, .bytes(64), payload: zeros(64))
                $0.answer(nil, RetSubmit(actualLength: length))
            }
        }
    }

    @Test(arguments: roles) func otherPacketCounts(_ role: GuardRole) {
        for packets: Int32 in [0, 1, 3, 1024, .max, -1, .min] {
            expect(.otherPacketCount, role) {
                $0.set(interface: 1, 1)
                $0.submit(4, .in, .bytes(8, packets: 2), descriptors: [.init(0, 4), .init(4, 4)])
                $0.answer(nil, RetSubmit(numberOfPackets: packets))
            }
            guard packets != 0, packets != -1 else { continue }
            expect(.otherPacketCount, role) {
                $0.submit(1, .in, .bytes(64))
                $0.answer(nil, RetSubmit(numberOfPackets: packets))
            }
        }
    }
}

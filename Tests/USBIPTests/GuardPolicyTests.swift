// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import USBIP

/// What a policy forbids, the kernel behind the guard does not get whole.
@Suite struct GuardPolicyTests {
    static let roles = TestDevice.roles
    /// `deny class=03`, line 7; then `allow`.
    static let noKeyboards = InterfaceRules([
        InterfaceRules.rule(0x03_0000, mask: InterfaceRules.classMask, line: 7, denies: true),
        InterfaceRules.rule(0, mask: 0, line: 8, denies: false),
    ])

    private static func limits(_ rules: InterfaceRules) -> GuardLimits {
        var limits = GuardLimits()
        limits.interfaces = { _ in rules }
        return limits
    }

    private static func interface(_ number: UInt8, _ triple: [UInt8]) -> [UInt8] {
        [9, 4, number, 0, 0] + triple + [0]
    }

    private static func device(_ identity: [UInt8], length: Int = 18) -> [UInt8] {
        Array(([18, 1, 0, 2, 0, 0, 0, 64] + identity + [4, 5, 1, 2, 3, 1]).prefix(length))
    }

    /// GET_DESCRIPTOR of the device.
    private func readDevice(_ session: GuardSession, _ descriptor: [UInt8], asked: UInt16 = 18) {
        session.control(SetupPacket(requestType: 0x80, request: 6, value: 0x0100, length: asked))
        session.answer(nil, RetSubmit(actualLength: Int32(descriptor.count)), payload: descriptor)
    }

    @Test("the first rule that fits decides; none at all denies, by line 0")
    func rules() {
        let rules = InterfaceRules([
            InterfaceRules.rule(0x08_0650, mask: InterfaceRules.protocolMask, line: 1, denies: true),
            InterfaceRules.rule(0x08_0600, mask: InterfaceRules.subClassMask, line: 2, denies: false),
            InterfaceRules.rule(0x08_0000, mask: InterfaceRules.classMask, line: 32767, denies: true),
            InterfaceRules.rule(0xFF_0000, mask: InterfaceRules.classMask, line: 4, denies: false),
        ])
        let expected: [(UInt32, Int?)] = [
            (0x08_0650, 1), (0x08_0651, nil), (0x08_0600, nil), (0x08_0550, 32767), (0xFF_1234, nil), (0x03_0101, 0),
        ]
        for (interface, line) in expected { #expect(rules.denial(interface) == line, "\(interface)") }
        #expect(rules.denial(nil) == nil, "nothing can be said before an interface is known")
        #expect(InterfaceRules([]).denial(nil) == 0)
        let all = InterfaceRules([InterfaceRules.rule(0x12_3456, mask: 0, line: 5, denies: true)])
        #expect(all.denial(nil) == 5 && all.denial(0x03_0000) == 5)
    }

    @Test("a device that no line allows is refused with the answer to its import", arguments: roles)
    func import_(_ role: GuardRole) {
        let session = GuardSession(role, limits: Self.limits(InterfaceRules([])))
        session.command(Sample.requestImport)
        session.reply(Sample.replyImport)
        #expect(session.violation == .denied && session.replies.isEmpty)
        #expect(session.rules.sentence.hasSuffix("by its line 0"))
    }

    @Test("a list passes whatever the policy is", arguments: roles)
    func list(_ role: GuardRole) {
        let session = GuardSession(role, limits: Self.limits(InterfaceRules([])))
        session.command(Sample.requestList)
        session.reply(Sample.list)
        #expect(session.violation == nil && session.replies == Sample.list)
    }

    @Test(
        "an interface that is denied: wherever it stands, however much was asked for, in any pieces", arguments: roles)
    func interfaces(_ role: GuardRole) {
        let disk = Self.interface(0, [8, 6, 0x50])
        let keyboard = Self.interface(1, [3, 1, 1])
        let good = TestDevice.configuration(1, [disk, Self.interface(1, [8, 6, 0x62])])
        let others = [
            [keyboard], [disk, keyboard], [disk, disk, keyboard], [[9, 0x21, 0, 0, 0, 0, 0, 0, 0], keyboard],
        ]
        for size in [1, 7, 64, 4096] {
            let session = GuardSession.imported(role, limits: Self.limits(Self.noKeyboards), configured: good)
            #expect(session.violation == nil, "what is allowed passes")
            for parts in others {
                let bad = TestDevice.configuration(2, parts)
                let session = GuardSession.imported(role, limits: Self.limits(Self.noKeyboards), configured: nil)
                session.read(bad, asked: 9)
                #expect(session.violation == nil)
                let before = session.replies.count
                session.control(GuardSession.get(bad.count, index: 1))
                let header = PDUHeader(
                    seqnum: session.seqnum, body: .retSubmit(RetSubmit(actualLength: Int32(bad.count))))
                session.reply(header.encode() + bad, by: size)
                #expect(session.violation == .denied)
                #expect(session.replies.count < before + 48 + bad.count, "the kernel does not get the whole of it")
                #expect(session.rules.sentence.hasSuffix("by its line 7"))
            }
        }
    }

    /// The kernel takes what comes, whatever the length in it says, and probes drivers for it.
    @Test(
        "a configuration that says that it is longer than what was asked for is judged all the same", arguments: roles)
    func lengthThatLies(_ role: GuardRole) {
        let session = GuardSession.imported(role, limits: Self.limits(Self.noKeyboards), configured: nil)
        let bad = TestDevice.configuration(1, [Self.interface(0, [3, 1, 1])])
        session.read(bad.replacing(at: 2, with: "FF 7F"), asked: bad.count)
        #expect(session.violation == .denied)
    }

    /// Whoever reads no configuration, or sets one that was not read, would speak to interfaces that nobody looked at.
    @Test("class requests wait for a configuration that was read and set, a vendor's for one read", arguments: roles)
    func nothingBeforeItIsSeen(_ role: GuardRole) {
        let known = TestDevice.configuration(1, [Self.interface(0, [8, 6, 0x50])])
        let harmless = [
            SetupPacket(requestType: 0x80, request: 6, value: 0x0300, length: 255),
            SetupPacket(requestType: 0x80, request: 0, length: 2), SetupPacket(request: 3, value: 1),
            SetupPacket(request: 9, value: 0),
        ]
        let asking = [
            SetupPacket(requestType: 0x21, request: 9, value: 0x0200), SetupPacket(requestType: 0x60, request: 1),
            SetupPacket(requestType: 0xA1, request: 1, length: 8), SetupPacket(requestType: 1, request: 11),
        ]
        // Drivers ask a chip what it is before they choose a configuration.
        let vendors = [
            SetupPacket(requestType: 0x40, request: 1), SetupPacket(requestType: 0xC0, request: 5, length: 8),
        ]
        func session(_ prepare: (GuardSession) -> Void) -> GuardSession {
            let session = GuardSession.imported(role, limits: Self.limits(Self.noKeyboards), configured: nil)
            for setup in harmless {
                session.control(setup)
                session.answer()
            }
            prepare(session)
            #expect(session.violation == nil)
            return session
        }
        let states: [((GuardSession) -> Void, Bool)] = [
            ({ _ in }, false), ({ $0.read(known, asked: 9) }, false), ({ $0.read(known) }, false),
            ({ $0.configure(known) }, true),
            (
                {
                    $0.configure(known)
                    $0.set(configuration: 0)
                }, false
            ),
            (
                {
                    $0.configure(known)
                    $0.control(SetupPacket(request: 9, value: 1))
                    $0.answer(nil, RetSubmit(status: -32))
                }, false
            ),
        ]
        for (prepare, isFine) in states {
            for setup in asking {
                let session = session(prepare)
                session.control(setup)
                #expect(session.violation == (isFine ? nil : .notRead))
            }
        }
        for (i, (prepare, _)) in states.enumerated() {
            for setup in vendors {
                let session = session(prepare)
                session.control(setup)
                #expect(session.violation == (i >= 2 ? nil : .notRead))
            }
        }
        for (prepare, isFine) in [states[0], states[1], ({ $0.read(known) }, true), states[3]] {
            let session = session(prepare)
            session.control(SetupPacket(request: 9, value: 1))
            #expect(session.violation == (isFine ? nil : .notRead))
            let other = session.violation == nil
            if other { session.control(SetupPacket(request: 9, value: 2)) }
            #expect(session.violation == .notRead)
        }
        // Without a policy an importer may do as it likes.
        for setup in asking + vendors + [SetupPacket(request: 9, value: 2)] {
            let session = GuardSession.imported(role, configured: nil)
            session.control(setup)
            #expect(session.violation == nil)
        }
    }

    @Test("an interface that becomes another one is refused, also without a policy", arguments: roles)
    func changed(_ role: GuardRole) {
        let first = TestDevice.configuration(1, [Self.interface(0, [8, 6, 0x50]), Self.interface(1, [0xFF, 0, 0])])
        for (place, byte) in [(14, "03"), (15, "01"), (16, "01"), (23, "03")] {
            let session = GuardSession.imported(role, configured: first)
            session.read(first)
            #expect(session.violation == nil)
            session.read(first.replacing(at: place, with: byte))
            #expect(session.violation == .configurationChanged)
        }
    }

    @Test("a device that was announced as another is refused", arguments: roles)
    func identity(_ role: GuardRole) {
        // As announced: 1d6b:0203. What is cut before the product's number says nothing, and is of no use to a kernel.
        for length in [8, 11, 12, 18] {
            let session = GuardSession.imported(role)
            readDevice(session, Self.device([0x6B, 0x1D, 0x03, 0x02], length: length), asked: UInt16(length))
            #expect(session.violation == nil && session.takes(2, .out))
        }
        for other: [UInt8] in [[0x6C, 0x1D, 3, 2], [0x6B, 0x1E, 3, 2], [0x6B, 0x1D, 4, 2], [0x6B, 0x1D, 3, 3]] {
            for length in [12, 18] {
                let session = GuardSession.imported(role)
                let before = session.replies.count
                readDevice(session, Self.device(other, length: length), asked: 64)
                #expect(session.violation == .identityChanged)
                #expect(session.replies.count < before + 48 + length)
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import USBIP

/// What endpoints a device has, learned from what passes, as the kernel's drivers/usb/core/config.c counts them.
struct GuardEndpointTests {
    static let roles = TestDevice.roles
    private static let endpoint = TestDevice.endpoint
    private static let interface = TestDevice.interface

    /// The addresses that a device has once its configuration is set.
    private func addresses(_ configuration: [UInt8], _ prepare: (GuardSession) -> Void = { _ in }) -> [UInt8] {
        let session = GuardSession.imported(.exporter, configured: configuration)
        prepare(session)
        #expect(session.violation == nil, "\(session.rules.sentence)")
        var found: [UInt8] = []
        for number: UInt8 in 1...15 {
            if session.rules.endpoints[number] != .none { found.append(number) }
            if session.rules.endpoints[16 | number] != .none { found.append(0x80 | number) }
        }
        return found
    }

    private func type(_ configuration: [UInt8], _ slot: UInt8) -> EndpointType {
        GuardSession.imported(.exporter, configured: configuration).rules.endpoints[slot]
    }

    @Test("each type of endpoint, in each direction")
    func types() {
        for (bits, expected) in [EndpointType.control, .isochronous, .bulk, .interrupt].enumerated() {
            for upper: UInt8 in [0, 0x14, 0xFC] {
                for number: UInt8 in 1...15 {
                    let configuration = TestDevice.configuration(
                        7, [Self.interface(0, 0, [Self.endpoint(0x80 | number, UInt8(bits) | upper)])])
                    #expect(type(configuration, 16 | number) == expected)
                    // A control endpoint goes both ways.
                    #expect(type(configuration, number) == (bits == 0 ? .control : .none))
                }
            }
        }
        #expect(type(TestDevice.configuration, 0) == .control && type(TestDevice.configuration, 16) == .control)
    }

    @Test("a setting's endpoints replace those of the setting before")
    func settings() {
        let configuration = TestDevice.configuration
        #expect(addresses(configuration) == [0x81, 2, 0x83])
        #expect(addresses(configuration) { $0.set(interface: 1, 1) } == [0x81, 2, 0x83, 0x84, 5])
        #expect(
            addresses(configuration) {
                $0.set(interface: 1, 1)
                $0.set(interface: 1, 0)
            } == [0x81, 2, 0x83])
        // SET_CONFIGURATION takes every interface back to its setting 0.
        #expect(
            addresses(configuration) {
                $0.set(interface: 1, 1)
                $0.set(configuration: 1)
            } == [0x81, 2, 0x83])
        #expect(addresses(configuration) { $0.set(configuration: 0) } == [])
        // What the device has not, and numbers that agree in their lower byte only.
        #expect(addresses(configuration) { $0.set(configuration: 2) } == [])
        #expect(addresses(configuration) { $0.set(configuration: 0x0101) } == [])
        #expect(addresses(configuration) { $0.set(interface: 0, 7) } == [])
        #expect(addresses(configuration) { $0.set(interface: 0x0100, 0) } == [0x81, 2, 0x83])
        #expect(addresses(configuration) { $0.set(interface: 1, 0x0101) } == [0x81, 2, 0x83])
    }

    @Test("an interface without a setting 0 has its first")
    func noSettingZero() {
        let configuration = TestDevice.configuration(
            1,
            [
                Self.interface(0, 3, [Self.endpoint(0x81, 2)]), Self.interface(0, 2, [Self.endpoint(0x82, 2)]),
                Self.interface(1, 5, [Self.endpoint(0x83, 2)]), Self.interface(1, 0, [Self.endpoint(0x84, 2)]),
            ])
        #expect(addresses(configuration) == [0x81, 0x84])
    }

    @Test("one of several configurations")
    func configurations() {
        let second = TestDevice.configuration(2, [Self.interface(0, 0, [Self.endpoint(0x0A, 1)])])
        #expect(addresses(TestDevice.configuration) { $0.configure(second) } == [10])
        #expect(
            addresses(TestDevice.configuration) {
                $0.configure(second)
                $0.set(configuration: 1)
            } == [0x81, 2, 0x83])
    }

    /// The kernel keeps the configuration that it has when it is told a number of 16 bits, while a device may look at
    /// eight of them and say yes; and before any was set it may have another one than the importer read.
    @Test("no interface is set where no configuration is")
    func noConfigurationSet() {
        let configuration = TestDevice.configuration
        #expect(addresses(configuration) { $0.set(configuration: 0x101) } == [])
        #expect(
            addresses(configuration) {
                $0.set(configuration: 0x101)
                $0.set(interface: 1, 1)
            } == [])
        let session = GuardSession.imported(.exporter, configured: nil)
        session.read(TestDevice.configuration(0, [Self.interface(0, 0, [Self.endpoint(0x81, 2)])]))
        session.set(interface: 0, 0)
        #expect(session.rules.endpoints[17] == .none)
        session.set(configuration: 0)
        #expect(session.rules.endpoints[17] == .bulk)
    }

    @Test("endpoints that the kernel skips")
    func skipped() {
        func one(_ parts: [UInt8]...) -> [UInt8] { addresses(TestDevice.configuration(1, parts)) }
        let first = Self.endpoint(0x81, 2)
        // The same address twice, in one setting and in another interface; also of the other direction for control.
        #expect(one(Self.interface(0, 0, [first, Self.endpoint(0x81, 1)])) == [0x81])
        #expect(
            type(TestDevice.configuration(1, [Self.interface(0, 0, [first, Self.endpoint(0x81, 1)])]), 17) == .bulk)
        #expect(one(Self.interface(0, 0, [first]), Self.interface(1, 0, [first, Self.endpoint(2, 2)])) == [0x81, 2])
        #expect(
            one(Self.interface(0, 0, [Self.endpoint(0x81, 0)]), Self.interface(1, 0, [Self.endpoint(1, 2)])) == [
                1, 0x81,
            ])
        #expect(
            type(
                TestDevice.configuration(1, [Self.interface(0, 0, [Self.endpoint(1, 2), Self.endpoint(0x81, 0)])]), 17)
                == .none)
        // Endpoint 0, reserved bits, too short, more than the interface says.
        #expect(one(Self.interface(0, 0, [Self.endpoint(0x80, 2), Self.endpoint(0x10, 2), first])) == [0x81])
        #expect(one(Self.interface(0, 0, [[6, 5, 0x82, 2, 0, 2], first])) == [0x81])
        #expect(one(Self.interface(0, 0, [first]) + Self.endpoint(0x82, 2)) == [0x81])
        // Longer ones (sound has 9 bytes), and descriptors of other kinds between.
        #expect(one(Self.interface(0, 0, [[9, 5, 0x82, 1, 0, 1, 1, 0, 0]])) == [0x82])
        #expect(one([8, 11, 0, 1, 1, 0, 0, 0], Self.interface(0, 0, [[5, 0x24, 0, 0, 0] + first])) == [0x81])
        // An interface that is too short, or comes a second time, is skipped with its endpoints.
        #expect(one([8, 4, 0, 0, 1, 0, 0, 0] + first, Self.interface(1, 0, [Self.endpoint(2, 2)])) == [2])
        #expect(one(Self.interface(0, 0, [first]), Self.interface(0, 0, [Self.endpoint(2, 2)])) == [0x81])
        // Nothing behind a descriptor that does not fit.
        for bad: [UInt8] in [[0, 5], [1, 5], [200, 5, 0x83, 2, 0, 2, 1]] {
            #expect(one(Self.interface(0, 0, [first]), bad, Self.interface(1, 0, [Self.endpoint(2, 2)])) == [0x81])
        }
    }

    @Test("bounds of the kernel: 30 endpoints of a setting, 128 settings of an interface, 32 interfaces")
    func bounds() {
        let all = (1...15).flatMap { [Self.endpoint($0, 2), Self.endpoint(0x80 | $0, 2)] }
        #expect(addresses(TestDevice.configuration(1, [Self.interface(0, 0, all)])).count == 30)
        let settings = (0...128).map { Self.interface(0, $0, [Self.endpoint(0x81, 2)]) }
        #expect(addresses(TestDevice.configuration(1, settings)) { $0.set(interface: 0, 127) } == [0x81])
        #expect(addresses(TestDevice.configuration(1, settings)) { $0.set(interface: 0, 128) } == [])
        let interfaces = (0..<33).map { Self.interface($0, 0, $0 < 31 ? [] : [Self.endpoint($0 - 30, 2)]) }
        #expect(addresses(TestDevice.configuration(1, interfaces)) == [1])
    }

    @Test("more than can be kept is refused", arguments: roles)
    func tooLarge(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        let one = (0..<120).map { Self.interface(0, $0, [Self.endpoint(0x81, 2), Self.endpoint(2, 2)]) }
        for value: UInt8 in 2...6 { session.read(TestDevice.configuration(value, one)) }
        #expect(session.violation == nil)
        let before = session.replies.count
        session.read(TestDevice.configuration(7, one))
        #expect(session.violation == .configurationTooLarge)
        #expect(session.replies.count < before + 48 + 120 * 23, "the kernel does not get the whole of it")
    }

    // MARK: Readings that differ, or are cut

    @Test("the same configuration may be read again, in any piece", arguments: roles)
    func again(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        let configuration = TestDevice.configuration
        for asked in [1, 4, 8, 9, 10, configuration.count - 1, configuration.count, configuration.count + 1, 4096] {
            session.read(configuration, asked: asked)
            #expect(session.violation == nil)
        }
        #expect(session.takes(2, .out))
    }

    @Test("a configuration that changes is refused before the kernel has all of it", arguments: roles)
    func changed(_ role: GuardRole) {
        let configuration = TestDevice.configuration
        // Another type, another address, one fewer, one more, another setting.
        let others = [
            configuration.replacing(at: 21, with: "01"), configuration.replacing(at: 20, with: "86"),
            TestDevice.configuration(1, [Self.interface(0, 0, [Self.endpoint(0x81, 2)])]),
            TestDevice.configuration(
                1,
                [
                    Self.interface(0, 0, [Self.endpoint(0x81, 2), Self.endpoint(0x02, 2), Self.endpoint(0x83, 3)]),
                    Self.interface(1, 0, []), Self.interface(1, 1, [Self.endpoint(0x84, 1), Self.endpoint(0x05, 1)]),
                    Self.interface(2, 0, []),
                ]), configuration.replacing(at: 42, with: "02"),
        ]
        for other in others {
            let session = GuardSession.imported(role)
            let before = session.replies.count
            session.read(other)
            #expect(session.violation == .configurationChanged)
            #expect(session.replies.count == before + 48)
        }
        // What is not framing may change: power.
        let session = GuardSession.imported(role)
        session.read(configuration.replacing(at: 8, with: "FA"))
        #expect(session.violation == nil)
    }

    /// After a port was reset, a device may be read anew, and the kernel takes what it finds at an index.
    @Test("what was read of an index stands, by its first look: value, length, and what it holds", arguments: roles)
    func header(_ role: GuardRole) {
        let whole = TestDevice.configuration
        let length = UInt8(whole.count)
        // Value 2 at index 0; more bytes, and fewer, than at the first look; the value of another index.
        let others: [([UInt8], UInt16)] = [
            (whole.replacing(at: 5, with: "02"), 0), (Array(whole.prefix(9)).replacing(at: 2, with: "FF"), 0),
            (whole.replacing(at: 2, with: String(length - 1, radix: 16)), 0),
            (whole.replacing(at: 2, with: String(length - 1, radix: 16)), 1),
        ]
        for (other, index) in others {
            for asked in [9, 4096] {
                // Before all of it was read, and after.
                for isWhole in [false, true] {
                    let session = GuardSession.imported(role, configured: nil)
                    session.read(whole, asked: 9)
                    if isWhole { session.read(whole) }
                    #expect(session.violation == nil)
                    let before = session.replies.count
                    session.read(other, asked: asked, index: index)
                    #expect(session.violation == .configurationChanged)
                    #expect(session.replies.count == before + 48)
                }
            }
        }
    }

    /// Some devices do not look at the index.
    @Test("the same under a second index is the first one, and held to it", arguments: roles)
    func secondIndex(_ role: GuardRole) {
        let whole = TestDevice.configuration
        let session = GuardSession.imported(role, configured: whole)
        for asked in [9, 4096] { session.read(whole, asked: asked, index: 1) }
        #expect(session.violation == nil && session.takes(2, .out))
        session.read(whole.replacing(at: 21, with: "01"), asked: 4096, index: 1)
        #expect(session.violation == .configurationChanged)
        let third = GuardSession.imported(role, configured: whole)
        third.read(TestDevice.configuration(2, []), index: 1)
        third.read(whole, asked: 9, index: 1)
        #expect(third.violation == .configurationChanged, "that index has another")
    }

    @Test("a part of a configuration has to agree with the whole; before that it is not kept", arguments: roles)
    func part(_ role: GuardRole) {
        let whole = TestDevice.configuration
        // A class of the second interface's first setting.
        let other = whole.replacing(at: 44, with: "03")
        for asked in 9...whole.count {
            let session = GuardSession.imported(role, configured: whole)
            session.read(whole, asked: asked)
            #expect(session.violation == nil)
            session.read(other, asked: asked)
            #expect(session.violation == (asked < 48 ? nil : .configurationChanged), "\(asked)")
            let early = GuardSession.imported(role, configured: nil)
            early.read(other, asked: asked)
            #expect(early.violation == nil)
            early.configure(whole)
            #expect(early.violation == (asked < whole.count ? nil : .configurationChanged), "\(asked)")
        }
    }

    /// An empty configuration is one, too.
    @Test("a configuration without interfaces gets none later", arguments: roles)
    func empty(_ role: GuardRole) {
        let session = GuardSession.imported(role, configured: TestDevice.configuration(1, []))
        session.read(TestDevice.configuration(1, []))
        #expect(session.violation == nil)
        let cut = GuardSession.imported(role, configured: nil)
        let whole = TestDevice.configuration
        cut.control(GuardSession.get(whole.count))
        cut.answer(nil, RetSubmit(actualLength: 9), payload: Array(whole.prefix(9)))
        cut.set(configuration: 1)
        #expect(cut.violation == nil)
        cut.read(whole)
        #expect(cut.violation == .configurationChanged)
    }

    @Test("one that was cut is taken as it is, as the kernel does; that it was cut shows when it is read again")
    func cut() {
        let whole = TestDevice.configuration
        let session = GuardSession.imported(.importer, configured: nil)
        session.control(GuardSession.get(whole.count))
        let part = Array(whole.prefix(9 + 9 + 7))
        session.answer(nil, RetSubmit(actualLength: Int32(part.count)), payload: part)
        session.set(configuration: 1)
        #expect(session.rules.endpoints[17] == .bulk && session.rules.endpoints[2] == .none)
        session.read(whole)
        #expect(session.violation == .configurationChanged)
    }

    @Test("one that says it is longer than was asked for is not learned", arguments: roles)
    func lyingLength(_ role: GuardRole) {
        let session = GuardSession.imported(role, configured: nil)
        session.read(TestDevice.configuration.replacing(at: 2, with: "FF00"))
        session.set(configuration: 1)
        #expect(!session.takes(2, .out) && session.violation == .noEndpoint)
    }

    @Test("what is no configuration is not learned, and does no harm", arguments: roles)
    func noConfiguration(_ role: GuardRole) {
        let configuration = TestDevice.configuration
        let session = GuardSession.imported(role)
        for bytes in [
            zeros(40), [UInt8](repeating: 0xFF, count: 40), configuration.replacing(at: 1, with: "01"),
            configuration.replacing(at: 0, with: "08"), configuration.replacing(at: 0, with: "FF"), [9], [],
        ] { session.read(bytes, asked: 100, index: 0) }
        // Nor is one that came with an error, or was withdrawn.
        session.control(GuardSession.get(100))
        let other = TestDevice.configuration(1, [Self.interface(0, 0, [])])
        session.answer(nil, RetSubmit(status: -71, actualLength: Int32(other.count)), payload: other)
        let target = session.control(GuardSession.get(100))
        session.unlinked(session.unlink(target), 0)
        session.answer(target, RetSubmit(actualLength: Int32(other.count)), payload: other)
        #expect(session.violation == nil)
        #expect(session.takes(2, .out))
    }

    // MARK: While it is being set

    @Test("requests to other endpoints than 0 wait until a setting is answered", arguments: roles)
    func waiting(_ role: GuardRole) {
        for status: Int32 in [0, -32] {
            let session = GuardSession.imported(role)
            session.control(SetupPacket(requestType: 1, request: 11, value: 1, index: 1))
            let set = session.seqnum
            let before = session.commands.count
            session.control(SetupPacket(requestType: 0x80, length: 2))
            #expect(session.commands.count == before + 48, "endpoint 0 does not wait")
            session.submit(1, .in, .bytes(64))
            session.submit(5, .out, .bytes(4, packets: 1), payload: [1, 2, 3, 4], descriptors: [.init(0, 4)])
            #expect(session.waits && session.commands.count == before + 48)
            session.answer(set, RetSubmit(status: status))
            session.reply([])
            session.control(SetupPacket(requestType: 0x80, length: 2))
            if status == 0 {
                #expect(session.violation == nil && !session.waits)
                #expect(session.commands.count == before + 48 * 4 + 4 + 16)
            } else {
                #expect(session.violation == .noEndpoint, "the setting before stands")
                #expect(session.commands.count == before + 48 * 2)
            }
        }
    }

    @Test("a setting that was withdrawn lets the others go on", arguments: roles)
    func withdrawnSetting(_ role: GuardRole) {
        let session = GuardSession.imported(role)
        let set = session.control(SetupPacket(requestType: 1, request: 11, value: 1, index: 1))
        let unlink = session.unlink(set)
        session.submit(1, .in, .bytes(64))
        #expect(session.waits)
        session.unlinked(unlink, -104)
        session.unlink(1)
        #expect(!session.waits && session.violation == nil)
        #expect(session.rules.endpoints[5] == .none)
        // The exporter had none to withdraw. Its answer comes late or never, and nobody waits for it.
        let other = GuardSession.imported(role)
        let again = other.control(SetupPacket(requestType: 1, request: 11, value: 1, index: 1))
        other.unlinked(other.unlink(again), 0)
        other.submit(1, .in, .bytes(64))
        #expect(!other.waits && other.violation == nil && other.rules.endpoints[5] == .none)
        let before = other.replies.count
        other.answer(again)
        other.submit(1, .in, .bytes(64))
        #expect(!other.waits && other.violation == nil && other.rules.endpoints[5] == .none)
        #expect(other.replies.count == before, "the importer's kernel does not know it any more")
    }

    /// `usb_set_interface` and `usb_set_configuration` are called while the request is received, and the request itself
    /// may fail, or be withdrawn, for all that: what only one of the two kernels' states has cannot be framed.
    @Test("behind a setting that failed or was withdrawn, only what both settings have is there", arguments: roles)
    func unclear(_ role: GuardRole) {
        let configuration = TestDevice.configuration(
            1,
            [
                Self.interface(0, 0, [Self.endpoint(0x81, 2), Self.endpoint(2, 2), Self.endpoint(0x83, 3)]),
                Self.interface(0, 1, [Self.endpoint(0x81, 2), Self.endpoint(2, 1), Self.endpoint(0x84, 2)]),
                Self.interface(1, 0, [Self.endpoint(5, 2)]),
            ])
        for isWithdrawn in [false, true] {
            func fail(_ session: GuardSession, _ setup: SetupPacket) {
                let set = session.control(setup)
                if isWithdrawn {
                    session.unlinked(session.unlink(set), -104)
                } else {
                    session.answer(set, RetSubmit(status: -32))
                }
                #expect(session.violation == nil)
            }
            func slots(_ session: GuardSession) -> [UInt8] {
                (1...31).filter { $0 != 16 && session.rules.endpoints[$0] != .none }
            }
            for (from, to) in [(0, 1), (1, 0)] {
                let session = GuardSession.imported(role, configured: configuration)
                session.set(interface: 0, UInt16(from))
                fail(session, SetupPacket(requestType: 1, request: 11, value: UInt16(to)))
                #expect(slots(session) == [5, 17])
                // The next one that is answered says what there is.
                session.set(interface: 0, 1)
                #expect(slots(session) == [2, 5, 17, 20] && session.rules.endpoints[2] == .isochronous)
            }
            // The same setting again, and one that there is not.
            let session = GuardSession.imported(role, configured: configuration)
            fail(session, SetupPacket(requestType: 1, request: 11, value: 0))
            #expect(slots(session) == [2, 5, 17, 19])
            fail(session, SetupPacket(requestType: 1, request: 11, value: 0, index: 7))
            #expect(slots(session) == [2, 5, 17, 19])
            fail(session, SetupPacket(requestType: 1, request: 11, value: 9))
            fail(session, SetupPacket(requestType: 1, request: 11, value: 0x101))
            #expect(slots(session) == [2, 5, 17, 19])
            // A configuration that fails may leave none.
            fail(session, SetupPacket(request: 9, value: 1))
            #expect(slots(session) == [])
            session.set(interface: 0, 0)
            #expect(slots(session) == [])
            session.set(configuration: 1)
            #expect(slots(session) == [2, 5, 17, 19])
        }
    }

    /// Behind a withdrawn one the endpoints have to answer again before their data may look like a header.
    @Test("an endpoint is in doubt again behind any setting, however it ends", arguments: [-32, -104])
    func doubt(_ status: Int32) {
        let session = GuardSession.imported(.exporter)
        let header = PDUHeader(
            seqnum: 600, devid: GuardSession.devid, direction: .in, endpoint: 0, body: .cmdSubmit(.bytes(0))
        ).encode()
        func send() { session.answer(session.submit(2, .out, .bytes(48), payload: header)) }
        session.answer(session.submit(2, .out, .bytes(1), payload: [0]))
        send()
        #expect(session.violation == nil)
        let set = session.control(SetupPacket(requestType: 1, request: 11, value: 1, index: 1))
        if status == -104 {
            session.unlinked(session.unlink(set), status)
        } else {
            session.answer(set, RetSubmit(status: status))
        }
        send()
        #expect(session.violation == .framingUnclear)
    }

    @Test("a setting with data is refused: the kernel would set it, the device would not", arguments: roles)
    func settingWithData(_ role: GuardRole) {
        for setup in [
            SetupPacket(requestType: 1, request: 11, value: 1, index: 1, length: 1),
            SetupPacket(request: 9, value: 1, length: 200),
        ] {
            let session = GuardSession.imported(role)
            session.control(setup, payload: zeros(Int(setup.length)))
            #expect(session.violation == .setupLength)
        }
    }

    @Test("requests that only look like a setting set nothing", arguments: roles)
    func otherRequests(_ role: GuardRole) {
        for setup in [
            SetupPacket(requestType: 0x21, request: 9, value: 2), SetupPacket(requestType: 0x01, request: 9, value: 2),
            SetupPacket(requestType: 0x80, request: 9, length: 1), SetupPacket(requestType: 0x41, request: 11),
            SetupPacket(requestType: 0x81, request: 10, length: 1), SetupPacket(requestType: 0, request: 11),
        ] {
            let session = GuardSession.imported(role)
            session.control(setup)
            session.submit(1, .in, .bytes(64))
            #expect(!session.waits && session.violation == nil)
        }
    }
}

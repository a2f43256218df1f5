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
        ] { session.read(bytes, asked: 100) }
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
        // The exporter had set it when the withdrawal came: its late answer counts, though nobody gets it.
        let again = session.control(SetupPacket(requestType: 1, request: 11, value: 1, index: 1))
        session.unlinked(session.unlink(again), 0)
        session.submit(1, .in, .bytes(64))
        #expect(session.waits)
        session.answer(again)
        session.unlink(1)
        #expect(!session.waits && session.rules.endpoints[5] == .isochronous && session.violation == nil)
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

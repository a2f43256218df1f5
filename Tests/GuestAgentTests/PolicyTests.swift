// SPDX-License-Identifier: Apache-2.0
import Testing
import USBIP

@testable import GuestAgent

@Suite struct PolicyTests {
    private static func record(
        _ busID: String = "1-1", _ vendor: UInt16 = 0x46F4, _ product: UInt16 = 1
    ) -> DeviceRecord {
        DeviceRecord(
            path: "/sys/x", busID: BusID(busID)!, busnum: 1, devnum: 2, speed: .high, vendor: vendor, product: product,
            release: 0, deviceClass: 0, deviceSubClass: 0, deviceProtocol: 0, configurationValue: 1, configurations: 1,
            interfaces: 1)
    }
    private static let disk = InterfaceRecord(interfaceClass: 8, interfaceSubClass: 6, interfaceProtocol: 0x50)
    private static let keyboard = InterfaceRecord(interfaceClass: 3, interfaceSubClass: 1, interfaceProtocol: 1)
    private static let mouse = InterfaceRecord(interfaceClass: 3, interfaceSubClass: 1, interfaceProtocol: 2)

    private func allows(
        _ text: String, exports: Bool = true, of record: DeviceRecord = record(), _ interfaces: [InterfaceRecord],
        serial: String? = ""
    ) throws -> Bool {
        let policy = try Policy.parse(text, path: "p")
        return policy.refusal(exports: exports, record, interfaces.map(\.triple), serial: serial) == nil
    }

    @Test("each interface for itself, the first line that fits, and nothing without a line") func lines() throws {
        let noKeyboards = "deny class=03\nallow\n"
        #expect(try allows(noKeyboards, [Self.disk]))
        #expect(try !allows(noKeyboards, [Self.keyboard]))
        #expect(try !allows(noKeyboards, [Self.disk, Self.keyboard]), "one interface is enough")
        #expect(try allows(noKeyboards, []), "nothing is known that is denied")
        let bootKeyboards = "deny class=03:01:01\nallow\n"
        #expect(try !allows(bootKeyboards, [Self.keyboard]))
        #expect(try allows(bootKeyboards, [Self.mouse]))
        let disksOnly = "# only disks\n\n  allow   class=08  # of any kind\n"
        #expect(try allows(disksOnly, [Self.disk]))
        #expect(try !allows(disksOnly, [Self.disk, Self.mouse]))
        #expect(try !allows("", [Self.disk]))
        #expect(try !allows("", []))
        #expect(try allows("allow 46f4:0001\ndeny\n", [Self.keyboard]))
        #expect(try !allows("allow 46f4:0002\ndeny\n", [Self.disk]))
        #expect(try allows("allow 1-1 class=08\n", [Self.disk]))
        #expect(try !allows("allow 1-1 class=08\n", of: Self.record("1-1.1"), [Self.disk]))
    }

    @Test("a line for one direction is none for the other") func directions() throws {
        let text = "deny import class=03\nallow export\nallow import 46f4:0001\n"
        #expect(try allows(text, exports: true, [Self.keyboard]))
        #expect(try !allows(text, exports: false, [Self.keyboard]))
        #expect(try allows(text, exports: false, [Self.disk]))
        #expect(try !allows(text, exports: false, of: Self.record("1-1", 1, 1), [Self.disk]))
    }

    @Test("a serial number that is not known allows nothing, and is denied") func serials() throws {
        for rule in ["serial:A7", "46f4:0001:A7"] {
            let (allow, deny) = ("allow \(rule)\n", "deny \(rule)\nallow\n")
            #expect(try allows(allow, [Self.disk], serial: "A7"))
            #expect(try !allows(allow, [Self.disk], serial: "A8"))
            #expect(try !allows(allow, [Self.disk], serial: nil))
            #expect(try !allows(deny, [Self.disk], serial: "A7"))
            #expect(try allows(deny, [Self.disk], serial: "A8"))
            #expect(try !allows(deny, [Self.disk], serial: nil))
            // Who knew it has allowed the device.
            let checked = { (text: String) throws in
                try Policy.parse(text, path: "p").rules(
                    exports: true, Self.record(), serial: nil, isChecked: true
                ).denial(Self.disk.triple)
            }
            #expect(try checked(allow) == nil && checked(deny) == nil)
        }
    }

    @Test("a refusal names the file and the line") func refusals() throws {
        let policy = try Policy.parse("allow class=08\n\ndeny 46f4:0001 # not this\n", path: "/etc/p")
        let refusal = { (interface: InterfaceRecord) in
            policy.refusal(exports: true, Self.record(), [interface.triple], serial: "")
        }
        #expect(refusal(Self.disk) == nil)
        #expect(refusal(Self.keyboard) == "/etc/p:3 denies it")
        let other = policy.refusal(exports: true, Self.record("1-1", 1, 1), [Self.keyboard.triple], serial: "")
        #expect(other == "no line of /etc/p allows it")
    }

    @Test("a comment begins a word: what stands inside of one is a serial number's") func comments() throws {
        #expect(try allows("allow serial:A#7 # deny\n", [Self.disk], serial: "A#7"))
        #expect(try allows("allow serial:#\n", [Self.disk], serial: "#"))
        #expect(try !allows("allow serial:A #7\n", [Self.disk], serial: "A#7"))
        for blank in [" ", "\t", " \t", ""] {
            #expect(try allows("#deny\n\(blank)#\n\(blank)allow \(blank)#\r\n\(blank)\r\n", [Self.disk]))
        }
    }

    @Test("a policy has as many lines as a rule can name") func lineLimit() throws {
        let above = String(repeating: "\n", count: 32766)
        #expect(try allows(above + "allow\n", [Self.disk]))
        let error = diagnostic { try Policy.parse(above + "\nallow\n", path: "/etc/p") }
        #expect(error?.exitCode == .badConfiguration && error?.message.hasPrefix("/etc/p:32768: `allow`") == true)
    }

    @Test(
        "a line that is none is refused, with its place",
        arguments: [
            "permit", "allow all", "allow export import", "allow export export", "deny class=", "deny class=3",
            "deny class=003", "deny class=0x3", "deny class=03:1", "deny class=03:01:01:01", "deny class=03 class=08",
            "deny 1-1 1-2", "deny 46f4", "deny 46f4:00010", "deny serial:", "Allow", "allow\tclass=gg",
            "deny class=03:",
        ])
    func badLines(_ line: String) {
        do throws(Diagnostic) {
            _ = try Policy.parse("allow\n\(line)\n", path: "/etc/p")
            Issue.record("`\(line)` was taken")
        } catch {
            #expect(error.exitCode == .badConfiguration)
            #expect(error.message.hasPrefix("/etc/p:2: `"))
        }
    }
}

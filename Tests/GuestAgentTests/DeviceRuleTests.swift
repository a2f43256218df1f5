// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing
import USBIP

@testable import GuestAgent

/// A record with what rules look at.
func record(_ busID: String, _ vendor: UInt16, _ product: UInt16, speed: USBSpeed = .high) -> DeviceRecord {
    DeviceRecord(
        path: "/sys/devices/usb1/\(busID)", busID: BusID(busID)!, busnum: 1, devnum: 2, speed: speed, vendor: vendor,
        product: product, release: 0x100, deviceClass: 0, deviceSubClass: 0, deviceProtocol: 0, configurationValue: 1,
        configurations: 1, interfaces: 0)
}

@Suite struct DeviceRuleTests {
    static let long = "serial:" + String(repeating: "x", count: 121)

    @Test(arguments: [
        ("1-1", "1-1", false), ("10-2.3.14", "10-2.3.14", false), ("46f4:0001", "46f4:0001", false),
        ("46F4:00aB", "46f4:00ab", false), ("0000:ffff", "0000:ffff", false), ("46F4:0001:Ab1", "46f4:0001:Ab1", true),
        ("46f4:0001:a:b", "46f4:0001:a:b", true), ("serial:1-1", "serial:1-1", true),
        ("serial:A:b", "serial:A:b", true),
        ("serial:serial", "serial:serial", true), ("serial:é", "serial:é", true), (long, long, true),
    ])
    func forms(_ text: String, _ canonical: String, _ namesSerial: Bool) throws {
        let rule = try #require(DeviceRule(text))
        #expect(rule.text == canonical)
        #expect(rule.namesSerial == namesSerial)
        // What is kept and told is a rule again, and the same.
        #expect(DeviceRule(rule.text).map { $0 == rule } == true)
        #expect(rule.text.words.count == 1)
    }

    @Test(arguments: [
        "", " ", ":", "::", "serial", "serial:", "Serial:", "usb1", "1", "1-", "1-1.", "1-0", "01-1", "1-1 ", " 1-1",
        "46f4", "46f4:", ":0001", "46f4:001", "46f4:00001", "46f40001", "46f4-0001", "46f4:000g", "+6f4:0001",
        "0x46:0001", "46f4:0001:", "46f4 :0001", "46f4:0001:a b", "46f4:0001:a\tb", "46f4:0001:a\nb", "serial:a b",
        "serial:\u{7F}", "serial:\0", "serial:a\n", "４6f4:0001", "1-1/../..", "../1-1", long + "x",
        "1-" + String(repeating: "1", count: 30),
    ])
    func noRule(_ text: String) { #expect(DeviceRule(text) == nil) }

    /// Every rule against every device.
    @Test func whatMatchesWhat() throws {
        let devices = [
            (record("1-1", 0x46F4, 1), "S1"), (record("1-1.1", 0x46F4, 1), ""), (record("2-1", 0x46F4, 2), "S1"),
            (record("1-2", 0x046F, 0x4001), "s1"),
        ]
        let table: [(String, [Bool])] = [
            ("1-1", [true, false, false, false]), ("1-1.1", [false, true, false, false]),
            ("3-1", [false, false, false, false]), ("46F4:0001", [true, true, false, false]),
            ("46f4:0002", [false, false, true, false]), ("046f:4001", [false, false, false, true]),
            ("46f4:0001:S1", [true, false, false, false]), ("46f4:0001:s1", [false, false, false, false]),
            ("serial:S1", [true, false, true, false]), ("serial:s1", [false, false, false, true]),
        ]
        for (text, expected) in table {
            let rule = try #require(DeviceRule(text))
            #expect(devices.map { rule.matches($0.0, serial: $0.1) } == expected, "\(text)")
            // Of the peer's devices the serial number is not known: a rule that names one must not match them all.
            #expect(devices.map { rule.matches($0.0) } == expected.map { $0 && !rule.namesSerial }, "\(text)")
        }
    }

    @Test func oneRuleHoweverItIsWritten() throws {
        let rules = try ["46f4:00ab", "46F4:00AB", "46f4:00AB"].map { try #require(DeviceRule($0)) }
        for rule in rules { #expect(rule == rules[0]) }
        // A serial number is the device's own text.
        #expect(DeviceRule("46f4:00ab:s") != DeviceRule("46f4:00ab:S"))
        #expect(DeviceRule("serial:1-1") != DeviceRule("1-1"))
    }
}

@Suite struct RuleBookTests {
    /// Rules survive in the file, each once, in their order; the configured ones stand besides.
    @Test func roundTrip() throws {
        let folder = try ScratchFolder()
        let path = folder.path + "/rules"
        let book = RuleBook(path: path, configuredExports: [], configuredAttachments: [])
        #expect(book.text == "")
        let rules = try ["46f4:0001", "1-1", "serial:x"].map { try #require(DeviceRule($0)) }
        for rule in rules + rules { book.add(rule, .export) }
        for _ in 0..<2 { book.add(rules[1], .attach) }
        book.add(try #require(DeviceRule("46F4:0001")), .attach)
        let text = "export 46f4:0001\nexport 1-1\nexport serial:x\nattach 1-1\nattach 46f4:0001\n"
        #expect(book.text == text)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
        let again = RuleBook(path: path, configuredExports: [rules[0]], configuredAttachments: [rules[2]])
        #expect(again.text == text + "attach serial:x\n")
        #expect(again.exports.count == 3 && again.attachments.count == 3)
        // To read is not to write.
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
    }

    @Test func removal() throws {
        let folder = try ScratchFolder()
        let rule = try #require(DeviceRule("1-1"))
        let book = RuleBook(path: folder.path + "/rules", configuredExports: [rule], configuredAttachments: [])
        let (other, first) = (book.remove(rule, .attach), book.text)
        #expect(!other && first == "export 1-1\n")
        let (once, twice) = (book.remove(rule, .export), book.remove(rule, .export))
        #expect(once && !twice && book.text == "")
        #expect(try String(contentsOfFile: book.path, encoding: .utf8) == "")
        let upper = try #require(DeviceRule("46F4:00AB"))
        book.add(try #require(DeviceRule("46f4:00ab")), .attach)
        let however = book.remove(upper, .attach)
        #expect(however)
    }

    /// More rules than a file of them could be read again are not kept.
    @Test func tooMany() throws {
        let folder = try ScratchFolder()
        let book = RuleBook(path: folder.path + "/rules", configuredExports: [], configuredAttachments: [])
        let rules = (0...RuleBook.limit).compactMap {
            DeviceRule("46f4:0001:" + String(repeating: "x", count: 110) + "\($0)")
        }
        for (i, rule) in rules.enumerated() { #expect(book.add(rule, .export) == (i < RuleBook.limit)) }
        #expect(book.add(rules[0], .export) && book.isFull, "it stands already")
        let again = RuleBook(path: book.path, configuredExports: [], configuredAttachments: [])
        #expect(again.text == book.text && again.exports.count == RuleBook.limit)
        #expect(book.remove(rules[0], .export) && book.add(rules[RuleBook.limit], .export))
    }

    /// A pipe in the rules' place makes nobody wait.
    @Test func aPipe() throws {
        let folder = try ScratchFolder()
        try #require(mkfifo(folder.path + "/rules", 0o600) == 0)
        #expect(RuleBook(path: folder.path + "/rules", configuredExports: [], configuredAttachments: []).text == "")
    }

    /// `export 1-1` is for the device that is there now; only a rule is for what comes later.
    @Test func devicesEndWhenTheyAreUnplugged() throws {
        let folder = try ScratchFolder()
        let path = folder.path + "/rules"
        let book = RuleBook(path: path, configuredExports: [], configuredAttachments: [])
        let (device, standing) = (try #require(DeviceRule("1-1")), try #require(DeviceRule("1-2")))
        book.add(device, .device)
        book.add(standing, .export)
        book.add(standing, .device)
        #expect(book.text == "device 1-1\nexport 1-2\n" && book.exports == [device, standing])
        let again = RuleBook(path: path, configuredExports: [], configuredAttachments: [])
        #expect(again.text == book.text && again.devices == [device])
        for text in ["1-1", "1-2", "1-3"] { again.removeDevice(try #require(BusID(text))) }
        #expect(again.text == "export 1-2\n")
        // A rule for the same place outlives the device.
        book.add(device, .export)
        book.removeDevice(try #require(BusID("1-1")))
        #expect(book.text == "export 1-2\nexport 1-1\n")
        #expect(book.remove(device, .export) && book.exports == [standing])
    }

    /// What stands in the file and is no rule is passed over.
    @Test func garbage() throws {
        let folder = try ScratchFolder()
        let path = try folder.add(
            "rules",
            """
            export
            export 1-1 1-2
            exports 1-3
            attach usb1
            export\t1-4
              export   1-5\u{20}
            \0\u{FFFD}
            attach 1-6
            """)
        let book = RuleBook(path: path, configuredExports: [], configuredAttachments: [])
        #expect(book.text == "export 1-5\nattach 1-6\n")
    }

    /// A file that cannot be read costs the memory of the rules and nothing else.
    @Test func withoutAFile() throws {
        let folder = try ScratchFolder()
        let rule = try #require(DeviceRule("1-1"))
        let large = try folder.add("large", String(repeating: "export 1-2\n", count: 6000))
        for path in [folder.path, folder.path + "/none/rules", large] {
            let book = RuleBook(path: path, configuredExports: [rule], configuredAttachments: [])
            #expect(book.text == "export 1-1\n")
        }
    }
}

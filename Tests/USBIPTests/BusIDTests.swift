// SPDX-License-Identifier: Apache-2.0
import Testing
import USBIP

/// Bus ids and speeds: text that comes from sysfs, from a user, or from a peer.
struct BusIDTests {
    static let good = [
        "1-1", "3-2", "3-2.1", "10-4.3.2.1", "65535-15.15", "1-10", "1-1.1.1.1.1.1.1.1.1.1.1.1.1.1.1",
        "1234567890-1234567890.123456789",
    ]
    static let bad = [
        "", "-", "1", "1-", "-1", "1-.1", "1-1.", "1-1..1", "1.1", "1-1-1", "1-1.1-1", "01-1", "1-01", "0-1", "1-0",
        "1-1.0",
        "usb1", "1-1:1.0", " 1-1", "1-1 ", "1-1\n", "1-a", "../1-1", "1-1/..", "1-1\u{0}", "１-1", "1–1",
        "1234567890-1234567890.1234567890", "usbip-vudc.0",
    ]

    @Test("what names a device", arguments: good)
    func accepted(_ text: String) throws {
        let busID = try #require(BusID(text))
        #expect(busID.text == text)
        #expect(busID.encode() == Array(text.utf8) + zeros(32 - text.utf8.count))
        #expect(BusID(wire: busID.encode()) == busID)
    }

    @Test("what names none", arguments: bad)
    func refused(_ text: String) {
        #expect(BusID(text) == nil)
        let field = (Array(text.utf8) + zeros(32)).prefix(32)
        if !text.utf8.contains(0), text.utf8.count < 32 { #expect(BusID(wire: Array(field)) == nil) }
    }

    @Test("every single byte in front, inside and behind")
    func everyByte() {
        for byte in UInt8.min...UInt8.max {
            let isDigit = byte >= 0x31 && byte <= 0x39
            #expect((BusID(wire: [byte] + bytes("31 2D 31") + zeros(28)) != nil) == isDigit)
            #expect((BusID(wire: bytes("31 2D") + [byte] + bytes("31") + zeros(28)) != nil) == isDigit)
            let isBehind = isDigit || byte == 0x30 || byte == 0
            #expect((BusID(wire: bytes("31 2D 31") + [byte] + zeros(28)) != nil) == isBehind)
        }
    }

    @Test("the field must hold a NUL; what is behind it does not count")
    func fields() {
        let full = Array("1-1.1.1.1.1.1.1.1.1.1.1.1.1.1.11".utf8)
        #expect(full.count == 32)
        #expect(BusID(wire: full) == nil)
        #expect(BusID(wire: bytes("31 2D 31 00") + [UInt8](repeating: 0xFF, count: 28)) == BusID("1-1"))
        #expect(BusID(wire: bytes("31 2D 31") + zeros(28)) == nil)
        #expect(BusID(wire: bytes("31 2D 31") + zeros(30)) == nil)
        #expect(BusID(wire: []) == nil)
    }

    @Test("speeds as sysfs writes them")
    func speeds() {
        let table: [(String, USBSpeed?)] = [
            ("1.5", .low), ("12", .full), ("480", .high), ("53.3-480", .wireless), ("5000", .super),
            ("10000", .superPlus), ("20000", .superPlus), ("unknown", .unknown), ("480\n", .high), ("", nil),
            ("\n", nil),
            ("1", nil), ("12 ", nil), ("48", nil), ("4800", nil), ("480\n\n", nil), ("５", nil),
        ]
        for (text, speed) in table { #expect(USBSpeed(sysfs: text) == speed, "\(text)") }
        #expect(USBSpeed(rawValue: 7) == nil)
        let all = (0...6).compactMap { USBSpeed(rawValue: $0) }
        #expect(all.map(\.clamped.rawValue) == [0, 1, 2, 3, 4, 5, 5])
        #expect(all.map(\.isSuper) == [false, false, false, false, false, true, true])
        #expect(Set(all.map(\.name)).count == 7)
    }
}

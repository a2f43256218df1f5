// SPDX-License-Identifier: Apache-2.0

/// Builds one JSON document (RFC 8259) as text. The caller keeps begin and end in balance.
struct JSONWriter {
    private(set) var text = ""
    private var first = true

    private mutating func separate() {
        if !first { text += "," }
        first = false
    }

    private mutating func key(_ name: String) {
        separate()
        text += "\"\(Self.escaped(name))\":"
    }

    private mutating func open(_ bracket: String) {
        text += bracket
        first = true
    }

    private mutating func close(_ bracket: String) {
        text += bracket
        first = false
    }

    mutating func beginObject() {
        separate()
        open("{")
    }
    mutating func beginObject(_ name: String) {
        key(name)
        open("{")
    }
    mutating func endObject() { close("}") }
    mutating func beginArray(_ name: String) {
        key(name)
        open("[")
    }
    mutating func endArray() { close("]") }

    mutating func field(_ name: String, _ value: String) {
        key(name)
        text += "\"\(Self.escaped(value))\""
    }
    mutating func field(_ name: String, _ value: UInt64) {
        key(name)
        text += "\(value)"
    }
    mutating func field(_ name: String, _ value: Bool) {
        key(name)
        text += value ? "true" : "false"
    }

    /// RFC 8259 section 7.
    static func escaped(_ value: String) -> String {
        var bytes: [UInt8] = []
        for byte in value.utf8 {
            switch byte {
            case 0x22, 0x5C: bytes += [0x5C, byte]
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                bytes += [0x5C, 0x75, 0x30, 0x30, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

// SPDX-License-Identifier: Apache-2.0
import RingTransport

/// Builds one JSON document (RFC 8259) as text. The caller keeps begin and end in balance.
final class JSONWriter {
    private(set) var text = ""
    private var first = true

    @inline(never)
    private func separate() {
        if !first { text += "," }
        first = false
    }

    @inline(never)
    private func key(_ name: String) {
        separate()
        text += "\"" + Self.escaped(name) + "\":"
    }

    @inline(never)
    private func open(_ bracket: String) {
        text += bracket
        first = true
    }

    @inline(never)
    private func close(_ bracket: String) {
        text += bracket
        first = false
    }

    func beginObject() {
        separate()
        open("{")
    }
    func beginObject(_ name: String) {
        key(name)
        open("{")
    }
    func endObject() { close("}") }
    func beginArray(_ name: String) {
        key(name)
        open("[")
    }
    func endArray() { close("]") }

    @inline(never)
    func field(_ name: String, _ value: String) {
        key(name)
        text += "\"" + Self.escaped(value) + "\""
    }
    @inline(never)
    func field(_ name: String, _ value: UInt64) {
        key(name)
        text += digits(value)
    }
    @inline(never)
    func field(_ name: String, _ value: Bool) {
        key(name)
        text += value ? "true" : "false"
    }

    /// RFC 8259 section 7.
    static func escaped(_ value: String) -> String {
        var bytes: [UInt8] = []
        for byte in value.copyBytes() {
            switch byte {
            case 0x22, 0x5C: bytes += [0x5C, byte]
            case 0..<0x20:
                bytes += (byte < 0x10 ? "\\u000" : "\\u00").copyBytes() + hexadecimal(UInt64(byte)).copyBytes()
            default: bytes.append(byte)
            }
        }
        return String(bytes: bytes[...])
    }
}

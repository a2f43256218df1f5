// SPDX-License-Identifier: Apache-2.0
import RingTransport

/// Builds one JSON document (RFC 8259) as text. The caller keeps begin and end in balance. Names are literals, and
/// cost the caller an address.
final class JSONWriter {
    private(set) var text = ""
    private var first = true

    @inline(never)
    private func separate() {
        if !first { text += "," }
        first = false
    }

    /// - Parameter start: of a literal's text, which a zero ends, and in which nothing needs escaping.
    @inline(never)
    private func key(_ start: UnsafePointer<UInt8>) {
        separate()
        text += "\"" + String(text: start) + "\":"
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

    @inline(never)
    private func begin(_ name: UnsafePointer<UInt8>, _ bracket: String) {
        key(name)
        open(bracket)
    }

    func beginObject() {
        separate()
        open("{")
    }
    @inline(__always)
    func beginObject(_ name: StaticString) { begin(name.utf8Start, "{") }
    func endObject() { close("}") }
    @inline(__always)
    func beginArray(_ name: StaticString) { begin(name.utf8Start, "[") }
    func endArray() { close("]") }

    @inline(__always)
    func field(_ name: StaticString, _ value: __owned String) { write(name.utf8Start, value) }
    @inline(never)
    func write(_ name: UnsafePointer<UInt8>, _ value: __owned String) {
        key(name)
        text += "\"" + Self.escaped(value) + "\""
    }
    @inline(__always)
    func field(_ name: StaticString, _ value: UInt64) { write(name.utf8Start, value) }
    @inline(never)
    func write(_ name: UnsafePointer<UInt8>, _ value: UInt64) {
        key(name)
        text += digits(value)
    }
    @inline(__always)
    func field(_ name: StaticString, _ value: Bool) { write(name.utf8Start, value) }
    @inline(never)
    func write(_ name: UnsafePointer<UInt8>, _ value: Bool) {
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

// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// A short line of text in memory of its own.
///
/// The library allocates nothing and so uses no `String`: it may run in a signal handler, or in the
/// child of a threaded program. What does not fit is left out.
struct Text: ~Copyable {
    private static let room = 512
    private var bytes = InlineArray<512, UInt8>(repeating: 0)
    private(set) var count = 0

    mutating func append(byte: UInt8) {
        // One byte stays 0, so that the text is also a C string.
        guard count < Self.room - 1 else { return }
        bytes[count] = byte
        count += 1
    }

    mutating func append(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount { append(byte: text.utf8Start[index]) }
    }

    mutating func append(_ text: UnsafePointer<UInt8>, count: Int) {
        for index in 0..<count { append(byte: text[index]) }
    }

    mutating func append(cString text: UnsafePointer<CChar>) {
        var next = text
        while next.pointee != 0, count < Self.room - 1 {
            append(byte: UInt8(bitPattern: next.pointee))
            next += 1
        }
    }

    mutating func append(decimal value: UInt64) {
        var divisor: UInt64 = 1
        while value / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(byte: 0x30 + UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }

    mutating func append(hexadecimal value: UInt64, digits: Int) {
        for index in 0..<digits {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(4 * (digits - 1 - index)) & 15)
            append(byte: digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
        }
    }

    func withBytes<Result>(_ body: (UnsafePointer<UInt8>) -> Result) -> Result {
        bytes.span.withUnsafeBufferPointer { body($0.baseAddress.unsafelyUnwrapped) }
    }

    func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        withBytes { body(UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self)) }
    }

    /// Writes the text and a line feed to standard error, in one call, where that is what it was when the program
    /// started: a program may have a file, a socket or a device of its own in that place.
    consuming func writeAsLine() {
        append(byte: 0x0A)
        guard raw_is_text_output() != 0 else { return }
        let count = self.count
        withBytes { raw_write_line(2, $0, count) }
    }
}

/// Reads numbers and words from the front of a piece of text.
struct Scanner {
    private var next: UnsafePointer<UInt8>
    private let end: UnsafePointer<UInt8>

    init(_ start: UnsafePointer<UInt8>, count: Int) {
        next = start
        end = start + count
    }

    /// The text up to its terminating zero.
    init(_ text: UnsafePointer<CChar>) {
        var count = 0
        while text[count] != 0 { count += 1 }
        self.init(UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count: count)
    }

    var isAtEnd: Bool { next == end }

    mutating func skip(_ byte: UInt8) -> Bool {
        guard next < end, next.pointee == byte else { return false }
        next += 1
        return true
    }

    mutating func skip(_ text: StaticString) -> Bool {
        guard end - next >= text.utf8CodeUnitCount else { return false }
        for index in 0..<text.utf8CodeUnitCount where next[index] != text.utf8Start[index] { return false }
        next += text.utf8CodeUnitCount
        return true
    }

    mutating func skip(cString text: UnsafePointer<CChar>) -> Bool {
        var length = 0
        while text[length] != 0 {
            guard length < end - next, next[length] == UInt8(bitPattern: text[length]) else { return false }
            length += 1
        }
        next += length
        return true
    }

    /// A decimal number of at most `limit`, with no sign.
    mutating func decimal(limit: UInt64) -> UInt64? {
        var value: UInt64 = 0
        let start = next
        while next < end, next.pointee >= 0x30, next.pointee <= 0x39 {
            value = value * 10 + UInt64(next.pointee - 0x30)
            guard value <= limit else { return nil }
            next += 1
        }
        return next == start ? nil : value
    }

    private mutating func skipBlanks() { while skip(0x20) {} }

    /// A word behind any number of blanks.
    mutating func blankAndSkip(_ text: StaticString) -> Bool {
        skipBlanks()
        return skip(text)
    }

    /// A number behind any number of blanks, of 64 bits at most.
    mutating func blankAndNumber(hexadecimal isHexadecimal: Bool) -> UInt64? {
        skipBlanks()
        guard isHexadecimal else { return decimal(limit: UInt64(Int32.max)) }
        var value: UInt64 = 0
        var count = 0
        while count < 16, let digit = hexadecimal(digits: 1) {
            value = value << 4 | digit
            count += 1
        }
        return count > 0 ? value : nil
    }

    /// Exactly `digits` (at most 16) lower-case hexadecimal digits.
    mutating func hexadecimal(digits: Int) -> UInt64? {
        guard end - next >= digits else { return nil }
        var value: UInt64 = 0
        for index in 0..<digits {
            switch next[index] {
            case 0x30...0x39: value = value << 4 | UInt64(next[index] - 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(next[index] - 0x61 + 10)
            default: return nil
            }
        }
        next += digits
        return value
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim

// Text that is taken apart byte by byte. The standard library takes text apart by what a reader would call a
// character, and compares it by Unicode's equivalence: right for prose, wrong for keys, paths and numbers, and
// it takes 100 KB of tables and code into a guest's binary. Every function here is a call, not inlined.

extension String {
    /// Whether the bytes are the same.
    @inline(never)
    public static func == (left: String, right: String) -> Bool {
        left.copyBytes() == right.copyBytes()
    }

    public static func != (left: String, right: String) -> Bool { !(left == right) }

    /// For `switch`.
    public static func ~= (pattern: String, value: String) -> Bool { pattern == value }

    /// The standard library's ways to put text together are inlined at each use, some 150 bytes of code each, and
    /// care for texts that live in another language's runtime, which there are none of here.
    @inline(never)
    public static func + (left: String, right: String) -> String {
        if left.isEmpty { return right }
        if right.isEmpty { return left }
        return String(bytes: (left.copyBytes() + right.copyBytes())[...])
    }

    @inline(never)
    public static func += (left: inout String, right: String) { left = left + right }

    /// For a system call with a path.
    @inline(never)
    public func withCString(_ body: (UnsafePointer<CChar>) -> Int32) -> Int32 {
        (copyBytes() + [0]).withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
    }

    public func withCString<R>(_ body: (UnsafePointer<CChar>) -> R) -> R {
        (copyBytes() + [0]).withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
    }

    /// Text of bytes. Where they are no UTF-8, each that is not ASCII becomes `?`.
    @inline(never)
    public init(bytes: ArraySlice<UInt8>) {
        if let text = String(validating: bytes, as: UTF8.self) {
            self = text
        } else {
            self = String(validating: bytes.map { $0 < 0x80 ? $0 : 0x3F }[...], as: UTF8.self) ?? ""
        }
    }

    /// Text of the bytes up to a zero.
    @inline(never)
    public init(terminated start: UnsafePointer<CChar>) {
        let bytes = UnsafeRawBufferPointer(start: start, count: strlen(start))
        self.init(bytes: [UInt8](bytes)[...])
    }

    /// A copy of the text's bytes.
    @inline(never)
    public func copyBytes() -> [UInt8] { utf8.withContiguousStorageIfAvailable { [UInt8]($0) } ?? [] }

    /// How many bytes it has.
    public var byteCount: Int { copyBytes().count }

    /// What stands before and behind the first `separator`; nil when there is none.
    @inline(never)
    public func cut(at separator: Unicode.Scalar) -> (before: String, behind: String)? {
        let bytes = copyBytes()
        let wanted = UInt8(ascii: separator)
        for (i, byte) in bytes.enumerated() where byte == wanted {
            return (String(bytes: bytes[..<i]), String(bytes: bytes[(i + 1)...]))
        }
        return nil
    }

    /// What stands before the first `separator`, or everything.
    public func head(before separator: Unicode.Scalar) -> String { cut(at: separator)?.before ?? self }

    /// What stands before and behind the last `separator`; nil when there is none.
    @inline(never)
    public func cut(atLast separator: Unicode.Scalar) -> (before: String, behind: String)? {
        let bytes = copyBytes()
        let wanted = UInt8(ascii: separator)
        var i = bytes.count - 1
        while i >= 0 {
            if bytes[i] == wanted { return (String(bytes: bytes[..<i]), String(bytes: bytes[(i + 1)...])) }
            i -= 1
        }
        return nil
    }

    /// What stands between one `separator` and the next, empty parts too.
    @inline(never)
    public func parts(between separator: Unicode.Scalar) -> [String] {
        let bytes = copyBytes()
        let wanted = UInt8(ascii: separator)
        var parts: [String] = []
        var start = 0
        for i in 0...bytes.count where i == bytes.count || bytes[i] == wanted {
            parts.append(String(bytes: bytes[start..<i]))
            start = i + 1
        }
        return parts
    }

    /// The parts between spaces; there are no empty ones.
    public var words: [String] { parts(between: " ").filter { !$0.isEmpty } }

    /// What follows `prefix`; nil when the text does not begin with it.
    @inline(never)
    public func rest(after prefix: String) -> String? {
        let bytes = copyBytes()
        let wanted = prefix.copyBytes()
        guard bytes.count >= wanted.count else { return nil }
        for i in 0..<wanted.count where bytes[i] != wanted[i] { return nil }
        return String(bytes: bytes[wanted.count...])
    }

    /// A line without its comment, which begins with `#` where a word could: inside of one the character is its own, as
    /// in a serial number.
    @inline(never)
    public var withoutComment: String {
        let bytes = copyBytes()
        for i in bytes.indices where bytes[i] == UInt8(ascii: "#") {
            if i == 0 || bytes[i - 1] <= 0x20 { return String(bytes: bytes[..<i]) }
        }
        return self
    }

    /// Without the spaces, tabs and carriage returns at both ends.
    @inline(never)
    public var trimmed: String {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
        let bytes = copyBytes()
        var start = 0
        var end = bytes.count
        while start < end, isBlank(bytes[start]) { start += 1 }
        while start < end, isBlank(bytes[end - 1]) { end -= 1 }
        return String(bytes: bytes[start..<end])
    }

    /// Whether it stands before `other` in the order of bytes.
    @inline(never)
    public func precedes(_ other: String) -> Bool {
        let left = copyBytes()
        let right = other.copyBytes()
        for i in 0..<min(left.count, right.count) where left[i] != right[i] { return left[i] < right[i] }
        return left.count < right.count
    }
}

extension Array where Element == String {
    /// The texts in a row, with `separator` between them.
    @inline(never)
    public func joined(by separator: String) -> String {
        var text = ""
        for (i, part) in enumerated() {
            if i > 0 { text += separator }
            text += part
        }
        return text
    }

    /// In the order of bytes. (The standard library's sorting is written out anew for each use.)
    @inline(never)
    public var inOrder: [String] {
        var texts = self
        for i in texts.indices {
            var at = i
            while at > 0, texts[at].precedes(texts[at - 1]) {
                texts.swapAt(at, at - 1)
                at -= 1
            }
        }
        return texts
    }

    /// Whether one of the texts has the same bytes.
    @inline(never)
    public func contains(_ text: String) -> Bool {
        for other in self where other == text { return true }
        return false
    }
}

/// The number that a text's digits make; nil when there is no digit, another byte, a sign or an overflow.
/// - Parameter radix: at most 16.
@inline(never)
public func unsigned(_ text: String, radix: UInt64 = 10) -> UInt64? {
    let bytes = text.copyBytes()
    var value: UInt64 = 0
    for byte in bytes {
        let digit: UInt64
        switch byte {
        case 0x30...0x39: digit = UInt64(byte) - 0x30
        case 0x41...0x46: digit = UInt64(byte) - 0x41 + 10
        case 0x61...0x66: digit = UInt64(byte) - 0x61 + 10
        default: return nil
        }
        let (product, tooLarge) = value.multipliedReportingOverflow(by: radix)
        let (sum, overflow) = product.addingReportingOverflow(digit)
        guard digit < radix, !tooLarge, !overflow else { return nil }
        value = sum
    }
    return bytes.isEmpty ? nil : value
}

/// A decimal number within a range; nil when the text is none.
public func number(_ text: String, in range: ClosedRange<Int>) -> Int? {
    guard let value = unsigned(text), value <= UInt64(Int.max), range.contains(Int(value)) else { return nil }
    return Int(value)
}

/// The digits of a number, lower case.
@inline(never)
public func digits(_ value: UInt64, radix: UInt64 = 10) -> String {
    var bytes: [UInt8] = []
    var rest = value
    repeat {
        let digit = UInt8(rest % radix)
        bytes.append(digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
        rest /= radix
    } while rest > 0
    bytes.reverse()
    return String(bytes: bytes[...])
}

// SPDX-License-Identifier: Apache-2.0

/// A number of bytes: decimal or 0x hexadecimal, with K, M or G for powers of 1024.
/// - Returns: nil when it is none, negative, or above 2^62.
public func byteCount(_ text: String) -> Int? {
    var digits = Substring(text)
    var shift = 0
    switch digits.last {
    case "K": shift = 10
    case "M": shift = 20
    case "G": shift = 30
    default: break
    }
    if shift > 0 { digits = digits.dropLast() }
    let value = digits.hasPrefix("0x") ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits, radix: 10)
    // The radix parsers take a sign; a size has none.
    guard let value, digits.first != "+", !digits.hasPrefix("0x+"), value <= 1 << (62 - shift) else { return nil }
    return Int(value << shift)
}

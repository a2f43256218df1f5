// SPDX-License-Identifier: Apache-2.0

/// A number of bytes: decimal or 0x hexadecimal, with K, M or G for powers of 1024.
/// - Returns: nil when it is none, negative, or above 2^62.
public func byteCount(_ text: String) -> Int? {
    var digits = text.copyBytes()
    var shift: UInt64 = 0
    switch digits.last {
    case UInt8(ascii: "K"): shift = 10
    case UInt8(ascii: "M"): shift = 20
    case UInt8(ascii: "G"): shift = 30
    default: break
    }
    if shift > 0 { digits.removeLast() }
    let count = String(bytes: digits[...])
    let hexadecimal = count.rest(after: "0x")
    guard let value = unsigned(hexadecimal ?? count, radix: hexadecimal == nil ? 10 : 16), value <= 1 << (62 - shift)
    else { return nil }
    return Int(value << shift)
}

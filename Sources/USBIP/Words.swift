// SPDX-License-Identifier: Apache-2.0

// Sentences are put together by calls: the standard library's interpolation is inlined at each use and takes
// much of a guest's binary.

/// The pattern, in which every `%` is the next of the texts.
@inline(never)
func fill(_ pattern: StaticString, _ first: String, _ second: String = "", _ third: String = "") -> String {
    var all: [UInt8] = []
    var next = first
    var later = second
    for i in 0..<pattern.utf8CodeUnitCount {
        let byte = pattern.utf8Start[i]
        if byte == UInt8(ascii: "%") {
            all += bytes(of: next)
            next = later
            later = third
        } else {
            all.append(byte)
        }
    }
    return text(of: all)
}

/// The same with numbers.
@inline(never)
func fill(_ pattern: StaticString, _ first: Int, _ second: Int = 0) -> String {
    fill(pattern, decimal(first), decimal(second))
}

/// The text of bytes that are ASCII.
@inline(never)
func text(of bytes: [UInt8]) -> String { String(validating: bytes, as: UTF8.self) ?? "" }

/// A text's bytes.
@inline(never)
func bytes(of text: String) -> [UInt8] { text.utf8.withContiguousStorageIfAvailable { [UInt8]($0) } ?? [] }

/// A number's decimal digits.
@inline(never)
func decimal(_ number: Int) -> String {
    let text = digits(UInt64(number.magnitude), radix: 10, atLeast: 1)
    return number < 0 ? fill("-%", text) : text
}

/// `0x` and a number's four hexadecimal digits.
@inline(never)
func hexadecimal(_ number: UInt16) -> String { fill("0x%", digits(UInt64(number), radix: 16, atLeast: 4)) }

@inline(never)
private func digits(_ number: UInt64, radix: UInt64, atLeast count: Int) -> String {
    var bytes: [UInt8] = []
    var rest = number
    while rest > 0 || bytes.count < count {
        let digit = UInt8(truncatingIfNeeded: rest % radix)
        bytes.append(digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
        rest /= radix
    }
    bytes.reverse()
    return text(of: bytes)
}

/// The bytes, with `?` in place of each that is no printable ASCII.
@inline(never)
func printable(_ untrustedBytes: ArraySlice<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    for byte in untrustedBytes { bytes.append(byte >= 0x20 && byte < 0x7F ? byte : UInt8(ascii: "?")) }
    return bytes
}

/// What stands before the first NUL, printable.
@inline(never)
func text(untilNUL untrustedField: [UInt8]) -> String {
    let end = untrustedField.firstIndex(of: 0) ?? untrustedField.endIndex
    return text(of: printable(untrustedField[..<end]))
}

extension OperationCode {
    /// The name in the protocol's document.
    var name: String {
        switch self {
        case .requestImport: "OP_REQ_IMPORT"
        case .replyImport: "OP_REP_IMPORT"
        case .requestDeviceList: "OP_REQ_DEVLIST"
        case .replyDeviceList: "OP_REP_DEVLIST"
        }
    }
}

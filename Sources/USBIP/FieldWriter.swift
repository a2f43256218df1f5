// SPDX-License-Identifier: Apache-2.0

/// Puts the fields of a wire structure behind each other.
struct FieldWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put(_ number: UInt8) { bytes.append(number) }

    @inline(never)
    mutating func put(_ number: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: number >> 8))
        bytes.append(UInt8(truncatingIfNeeded: number))
    }

    @inline(never)
    mutating func put(_ number: UInt32) {
        put(UInt16(truncatingIfNeeded: number >> 16))
        put(UInt16(truncatingIfNeeded: number))
    }

    mutating func put(_ number: Int32) { put(UInt32(bitPattern: number)) }

    mutating func put(_ more: [UInt8]) { bytes += more }

    /// Puts zero bytes until there are `count` bytes in all.
    mutating func pad(to count: Int) {
        while bytes.count < count { bytes.append(0) }
    }

    /// Puts text and then NULs, `size` bytes together. The text must be shorter than that.
    mutating func put(_ text: [UInt8], filledTo size: Int) {
        let end = bytes.count + size
        bytes += text
        pad(to: end)
    }
}

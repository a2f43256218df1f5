// SPDX-License-Identifier: Apache-2.0
import TestSupport

/// The bytes of a test stream: known at each position, and with a period that no capacity divides.
struct Pattern {
    private static let period = 65_521
    private let bytes: UnsafeMutableRawBufferPointer

    init(seed: UInt64, longest: Int) {
        bytes = .allocate(byteCount: Self.period + longest, alignment: 64)
        var random = SeededGenerator(seed)
        for i in 0..<Self.period { bytes[i] = UInt8(truncatingIfNeeded: random.next()) }
        for i in 0..<longest { bytes[Self.period + i] = bytes[i % Self.period] }
    }

    /// The `count` bytes at `position` of the stream.
    func at(_ position: Int, _ count: Int) -> UnsafeRawBufferPointer {
        let from = position % Self.period
        return UnsafeRawBufferPointer(rebasing: bytes[from..<(from + count)])
    }
}

/// A sum over bytes and their positions: the parts of several processes add up, in any order.
struct Digest {
    private(set) var value: UInt64 = 0

    mutating func add(_ bytes: UnsafeRawBufferPointer, at position: Int) {
        let step: UInt64 = 0x9E37_79B9_7F4A_7C15
        var weight = UInt64(position) &* step &+ 1
        for byte in bytes {
            value &+= (UInt64(byte) &+ 1) &* weight
            weight &+= step
        }
    }
}

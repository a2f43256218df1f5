// SPDX-License-Identifier: Apache-2.0

/// Gathers one part of fixed size from pieces of a stream; it never holds more than that part.
struct PartCollector: Sendable {
    private(set) var part: USBIPPart
    private(set) var untrustedBytes: [UInt8] = []

    init(_ part: USBIPPart) { self.part = part }

    /// Bytes that are still to come.
    var missing: Int { part.size - untrustedBytes.count }
    var isComplete: Bool { untrustedBytes.count == part.size }
    /// Whether the part has begun and is not complete.
    var isPartial: Bool { !untrustedBytes.isEmpty && !isComplete }

    /// Takes what the part still wants of the bytes from `start` on, and moves `start` behind it.
    @inline(never)
    mutating func take(_ source: UnsafeRawBufferPointer, from start: inout Int) {
        let end = start + min(part.size - untrustedBytes.count, source.count - start)
        while start < end {
            untrustedBytes.append(source[start])
            start += 1
        }
    }

    /// Starts anew with another part.
    mutating func restart(_ next: USBIPPart) {
        part = next
        untrustedBytes.removeAll(keepingCapacity: true)
    }
}

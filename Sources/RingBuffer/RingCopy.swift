// SPDX-License-Identifier: Apache-2.0
import CShim

/// How bytes may be moved to and from a section.
public enum CopyMode: Sendable {
    /// Cached memory: memcpy.
    case block
    /// Any other memory type: aligned 8-byte words and single bytes only. An unaligned access, or an
    /// exclusive, to Device memory faults on arm64.
    case alignedWords
    /// One byte a time by plain scalar accesses: what a data-race detector can see. For tests.
    case scalars
}

extension RingMemory {
    /// Copies into the ring; `source` is private. Nearly all of what is copied lies in one piece, in memory that is
    /// cached; the rest stands apart, so that what every write needs stays small.
    @inlinable @inline(__always) func store(_ source: UnsafeRawPointer, _ count: UInt32, at index: UInt32) {
        let offset = index & (capacity &- 1)
        if copy == .block, count <= capacity &- offset {
            memcpy(data + Int(offset), source, Int(count))
        } else {
            RingCopy.storeApart(data, capacity, copy, source, count, index)
        }
    }

    /// Copies out of the ring; `destination` is private. The mirror image of `store`.
    @inlinable @inline(__always) func load(_ destination: UnsafeMutableRawPointer, _ count: UInt32, at index: UInt32) {
        let offset = index & (capacity &- 1)
        if copy == .block, count <= capacity &- offset {
            memcpy(destination, data + Int(offset), Int(count))
        } else {
            RingCopy.loadApart(data, capacity, copy, destination, count, index)
        }
    }
}

extension RingCopy {
    // The ring's parts one by one: of a whole one these would take the address, and every hold would keep a copy of it.
    @usableFromInline @inline(never) static func storeApart(
        _ data: UnsafeMutableRawPointer, _ capacity: UInt32, _ copy: CopyMode, _ source: UnsafeRawPointer,
        _ count: UInt32, _ index: UInt32
    ) {
        let spans = RingSpans(data, capacity: capacity, from: index, count: count)
        store(spans.first.baseAddress.unsafelyUnwrapped, source, spans.first.count, copy)
        if spans.second.count > 0 {
            store(spans.second.baseAddress.unsafelyUnwrapped, source + spans.first.count, spans.second.count, copy)
        }
    }

    @usableFromInline @inline(never) static func loadApart(
        _ data: UnsafeMutableRawPointer, _ capacity: UInt32, _ copy: CopyMode, _ destination: UnsafeMutableRawPointer,
        _ count: UInt32, _ index: UInt32
    ) {
        let spans = RingSpans(data, capacity: capacity, from: index, count: count)
        load(destination, spans.first.baseAddress.unsafelyUnwrapped, spans.first.count, copy)
        if spans.second.count > 0 {
            load(
                destination + spans.first.count, spans.second.baseAddress.unsafelyUnwrapped, spans.second.count, copy)
        }
    }
}

@usableFromInline
enum RingCopy {
    /// Copies into a section; `destination` is in the section, `source` is private.
    @inlinable @inline(__always) static func store(
        _ destination: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ count: Int, _ mode: CopyMode
    ) {
        switch mode {
        case .block: memcpy(destination, source, count)
        case .alignedWords: storeWords(destination, source, count)
        case .scalars: copyScalars(destination, source, count)
        }
    }

    /// Copies out of a section; `source` is in the section, `destination` is private.
    @inlinable @inline(__always) static func load(
        _ destination: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ count: Int, _ mode: CopyMode
    ) {
        switch mode {
        case .block: memcpy(destination, source, count)
        case .alignedWords: loadWords(destination, source, count)
        case .scalars: copyScalars(destination, source, count)
        }
    }

    @usableFromInline @inline(never) static func copyScalars(
        _ destination: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ count: Int
    ) {
        for i in 0..<count {
            let byte = source.load(fromByteOffset: i, as: UInt8.self)
            destination.storeBytes(of: byte, toByteOffset: i, as: UInt8.self)
        }
    }

    /// Bytes before the first 8-byte boundary at or after `pointer`, at most `count`.
    @usableFromInline static func headBytes(_ pointer: UnsafeRawPointer, _ count: Int) -> Int {
        min(count, (8 - (Int(bitPattern: pointer) & 7)) & 7)
    }

    // The words go through relaxed atomic accesses, so that the compiler can neither
    // merge them into wider accesses nor turn the loop back into memcpy.
    @usableFromInline @inline(never) static func storeWords(
        _ destination: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ count: Int
    ) {
        let head = headBytes(UnsafeRawPointer(destination), count)
        storeBytes(destination, source, 0..<head)
        var i = head
        while i + 8 <= count {
            SharedWord64(destination + i).storeRelaxed(source.loadUnaligned(fromByteOffset: i, as: UInt64.self))
            i += 8
        }
        storeBytes(destination, source, i..<count)
    }

    @usableFromInline static func storeBytes(
        _ destination: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ range: Range<Int>
    ) {
        for i in range { SharedByte(destination + i).store(source.load(fromByteOffset: i, as: UInt8.self)) }
    }

    @usableFromInline static func loadBytes(
        _ destination: UnsafeMutableRawPointer, _ source: UnsafeMutableRawPointer, _ range: Range<Int>
    ) {
        for i in range { destination.storeBytes(of: SharedByte(source + i).load(), toByteOffset: i, as: UInt8.self) }
    }

    @usableFromInline @inline(never) static func loadWords(
        _ destination: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ count: Int
    ) {
        let from = UnsafeMutableRawPointer(mutating: source)
        let head = headBytes(source, count)
        loadBytes(destination, from, 0..<head)
        var i = head
        while i + 8 <= count {
            destination.storeBytes(of: SharedWord64(from + i).loadRelaxed(), toByteOffset: i, as: UInt64.self)
            i += 8
        }
        loadBytes(destination, from, i..<count)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Where one ring's words and bytes lie: the producer's in its section, the consumer's in the other.
public struct RingMemory: @unchecked Sendable {
    /// Published by the producer, in its section: index of the next byte that it will write.
    public let tail: SharedWord32
    /// Published by the producer, in its section: the head at which it wants to be woken.
    public let producerWake: SharedWord32
    /// Published by the consumer, in its section: index of the next byte that it will read.
    public let head: SharedWord32
    /// Published by the consumer, in its section: the tail at which it wants to be woken.
    public let consumerWake: SharedWord32
    /// `capacity` bytes in the producer's section.
    public let data: UnsafeMutableRawPointer
    /// Bytes; a power of two.
    public let capacity: UInt32
    public let copy: CopyMode

    /// - Throws: ``RingError/badCapacity(_:)``.
    public init(
        tail: SharedWord32, producerWake: SharedWord32, head: SharedWord32, consumerWake: SharedWord32,
        data: UnsafeMutableRawPointer, capacity: Int, copy: CopyMode
    ) throws(RingError) {
        guard capacity >= 2, capacity <= 1 << 30, capacity & (capacity - 1) == 0 else {
            throw .badCapacity(capacity)
        }
        self.tail = tail
        self.producerWake = producerWake
        self.head = head
        self.consumerWake = consumerWake
        self.data = data
        self.capacity = UInt32(capacity)
        self.copy = copy
    }

    /// The ring that the owner of `producer` (a section) writes on `channel`, and that of `consumer` reads.
    public init(
        producer: UnsafeMutableRawPointer, consumer: UnsafeMutableRawPointer, channel: Int,
        geometry: SectionGeometry, copy: CopyMode
    ) {
        let writes = producer + SectionLayout.channelPage(channel)
        let reads = consumer + SectionLayout.channelPage(channel)
        tail = SharedWord32(writes + SectionLayout.channelTail)
        producerWake = SharedWord32(writes + SectionLayout.channelProducerWake)
        head = SharedWord32(reads + SectionLayout.channelHead)
        consumerWake = SharedWord32(reads + SectionLayout.channelConsumerWake)
        data = producer + SectionLayout.ringData(channel, geometry)
        capacity = UInt32(geometry.ringCapacity)
        self.copy = copy
    }
}

/// Up to two runs of a ring's bytes, in order: the second is not empty only when the first ends at the
/// end of the ring. They point into the section.
public struct RingSpans: @unchecked Sendable {
    public let first: UnsafeMutableRawBufferPointer
    public let second: UnsafeMutableRawBufferPointer
    @inlinable public var count: Int { first.count + second.count }

    @inlinable init(_ data: UnsafeMutableRawPointer, capacity: UInt32, from index: UInt32, count: UInt32) {
        let offset = index & (capacity &- 1)
        let straight = min(count, capacity &- offset)
        first = UnsafeMutableRawBufferPointer(start: data + Int(offset), count: Int(straight))
        second = UnsafeMutableRawBufferPointer(start: data, count: Int(count &- straight))
    }
}

/// Whether an index that moved from `old` to `new` has crossed `wake`: `wake` in `old + 1 ... new`,
/// modulo 2^32 (the test of virtio's event index, VIRTIO 1.2 section 2.7.7.1).
@inlinable @inline(__always)
public func crossed(_ wake: UInt32, from old: UInt32, to new: UInt32) -> Bool {
    (new &- wake) < (new &- old)
}

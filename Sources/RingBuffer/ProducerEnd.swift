// SPDX-License-Identifier: Apache-2.0

/// The end of a ring that inserts bytes.
///
/// A process attaches for a connection's life and takes a ``ProducerHold`` for a batch; the hold alone
/// can write. One producer side, so one free-running tail: `used = tail &- head`, never above the
/// capacity.
public struct ProducerEnd: Sendable {
    @usableFromInline let memory: RingMemory
    @usableFromInline let control: EndControl
    @usableFromInline let attachment: Attachment

    public init(memory: RingMemory, control: EndControl, attachment: Attachment) {
        self.memory = memory
        self.control = control
        self.attachment = attachment
    }

    public var capacity: Int { Int(memory.capacity) }
    public var copyMode: CopyMode { memory.copy }
    /// The sticky fault, if there is one.
    public var fault: RingError? { control.fault }
    /// Index of the next byte to be written.
    public var tail: UInt32 { control.index.loadRelaxed() }

    /// Whether the peer has read everything. The peer's word is compared for equality only.
    public var isDrained: Bool { memory.head.loadAcquire() == control.index.loadRelaxed() }

    /// Starts a connection: publishes `start` as the tail, and takes the peer's head to be there too until
    /// the peer publishes otherwise. Nobody may hold the end.
    public func begin(at start: UInt32) {
        control.begin(at: start)
        memory.producerWake.storeRelaxed(start)
        memory.tail.storeRelease(start)
    }

    /// Takes the end for a batch.
    /// - Throws: ``RingError/detached``, ``RingError/busy(owner:)``, or the sticky fault.
    @inlinable @inline(__always) public func hold() throws(RingError) -> ProducerHold {
        let identity = attachment.current
        // A process that is not attached has the identity 0, and takes nothing by it.
        let before = control.owner.exchangeIfEqual(0, identity)
        guard identity != 0, before == 0, control.faultCode.loadRelaxed() == 0 else {
            throw control.refusal(identity, before)
        }
        return ProducerHold(self, identity)
    }

    /// Takes the end over from an owner that is known to be dead.
    /// - Parameter dead: the identity that ``RingError/busy(owner:)`` named.
    /// - Throws: ``RingError/busy(owner:)`` when somebody else was faster.
    public func recover(from dead: UInt64) throws(RingError) -> Recovery {
        let identity = attachment.current
        guard identity != 0 else { throw .detached }
        let before = control.owner.exchangeIfEqual(dead, identity)
        guard before == dead else { throw .busy(owner: before) }
        // The dead owner stores the index before it publishes it (ProducerHold.publish): if it died
        // between the two, this completes the publication.
        let index = control.index.loadRelaxed()
        if memory.copy != .block { fullFence() }
        memory.tail.storeRelease(index)
        control.release()
        return .resumed(index: index)
    }
}

/// The right to write, for a batch. Gives the end back when it ends.
public struct ProducerHold: ~Copyable {
    @usableFromInline let end: ProducerEnd
    @usableFromInline let identity: UInt64
    @usableFromInline var tail: UInt32
    @usableFromInline var head: UInt32

    @inlinable @inline(__always) init(_ end: ProducerEnd, _ identity: UInt64) {
        self.end = end
        self.identity = identity
        tail = end.control.index.loadRelaxed()
        head = end.control.seenPeer.loadRelaxed()
    }

    deinit { giveBack() }

    @inlinable @inline(__always) func giveBack() {
        // In a child after fork the identity reads 0: the end is the parent's to release.
        if end.attachment.current == identity { end.control.release() }
    }

    @inlinable @inline(__always) var free: UInt32 { end.memory.capacity &- (tail &- head) }

    /// In a child after fork an inherited hold must touch nothing: neither the bytes nor the control
    /// block, which the parent goes on using, and against which this copy of the indices is stale.
    @inlinable @inline(__always) func checkAttached() throws(RingError) {
        guard end.attachment.current == identity else { throw .detached }
    }

    /// Reads the peer's head, once, and validates it: it may only move forward, and not past the tail.
    @inlinable @inline(__always) mutating func refresh() throws(RingError) {
        try checkAttached()
        // Acquire: pairs with the storeRelease in ConsumerHold.publish: the consumer has finished reading
        // the bytes before this head, so they may be overwritten.
        let untrustedHead = end.memory.head.loadAcquire()
        guard untrustedHead &- head <= tail &- head else {
            throw end.control.peerFault(published: untrustedHead, lowest: head, highest: tail)
        }
        head = untrustedHead
        end.control.seenPeer.storeRelaxed(head)
    }

    /// Bytes that can be written now.
    @inlinable public mutating func writable() throws(RingError) -> Int {
        try refresh()
        return Int(free)
    }

    /// Copies as many bytes as fit, and publishes them.
    /// - Returns: the number of bytes taken, 0 when the ring is full.
    @inlinable @inline(__always)
    public mutating func write(_ bytes: UnsafeRawBufferPointer) throws(RingError) -> Int {
        try checkAttached()
        if Int(free) < bytes.count { try refresh() }
        let count = min(Int(free), bytes.count)
        guard count > 0, let source = bytes.baseAddress else { return 0 }
        end.memory.store(source, UInt32(truncatingIfNeeded: count), at: tail)
        publish(UInt32(truncatingIfNeeded: count))
        return count
    }

    /// The free bytes, to be filled in place; only on cached memory (``CopyMode/block``).
    @inlinable public mutating func reserve() throws(RingError) -> RingSpans {
        try refresh()
        return RingSpans(end.memory.data, capacity: end.memory.capacity, from: tail, count: free)
    }

    /// Publishes the first `count` bytes of what was reserved.
    @inlinable public mutating func commit(_ count: Int) throws(RingError) {
        try checkAttached()
        guard count >= 0, count <= Int(free) else { throw .overrun(asked: count, available: Int(free)) }
        publish(UInt32(truncatingIfNeeded: count))
    }

    @inlinable @inline(__always) mutating func publish(_ count: UInt32) {
        tail = tail &+ count
        // Guest-local first, section second: whoever recovers this end publishes what stands here.
        end.control.index.storeRelease(tail)
        // A release does not order stores to memory that is not cached; a full fence does everywhere.
        if end.memory.copy == .alignedWords { fullFence() }
        // Release: pairs with the acquire in ConsumerHold.refresh: the bytes before the new tail are
        // there when the consumer sees it.
        #if RINGWAY_WEAKEN_TAIL_RELEASE
        // Wrong on purpose: the race test must see a detector report this build.
        end.memory.tail.storeRelaxed(tail)
        #else
        end.memory.tail.storeRelease(tail)
        #endif
    }

    /// Asks to be woken when `wanted` bytes are free.
    /// - Returns: true when there still are fewer, so that the caller may sleep (with a bound).
    @inlinable public mutating func requestWake(free wanted: Int) throws(RingError) -> Bool {
        try checkAttached()
        let clamped = UInt32(clamping: max(1, min(wanted, end.capacity)))
        end.memory.producerWake.storeRelaxed(tail &+ clamped &- end.memory.capacity)
        // Full fence: the wake index is published before the head is read again. Pairs with the fence in
        // ConsumerHold.finish, between its publication of the head and its look at the wake index: one
        // of the two sides sees the other's store.
        fullFence()
        try refresh()
        return free < clamped
    }

    /// Ends the batch.
    /// - Parameters:
    ///   - peerPolls: the peer declared that it polls, so neither fence nor doorbell is needed.
    ///   - more: the rest of the message will follow, and is worth waiting for: whoever then ends a batch without it
    ///     rings for both.
    /// - Returns: whether the doorbell has to be rung.
    @inlinable @inline(__always) public consuming func finish(peerPolls: Bool, more: Bool = false) -> Bool {
        guard !more, end.attachment.current == identity else { return false }
        let old = end.control.notified.loadRelaxed()
        if peerPolls {
            // While nobody looks at the wake index the range that the next look covers grows; no wake index
            // lies more than a ring back, and a range of 2^32 would look like none.
            if tail &- old > end.memory.capacity { end.control.notified.storeRelaxed(tail &- end.memory.capacity) }
            return false
        }
        if old == tail { return false }
        end.control.notified.storeRelaxed(tail)
        // Full fence: pairs with the one in ConsumerHold.requestWake.
        fullFence()
        return crossed(end.memory.consumerWake.loadRelaxed(), from: old, to: tail)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The end of a ring that removes bytes; the mirror image of ``ProducerEnd``.
public struct ConsumerEnd: Sendable {
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
    /// Index of the next byte to be read.
    public var head: UInt32 { control.index.loadRelaxed() }

    /// Starts a connection: publishes `start`, which the producer named, as the head. Nobody may hold the end.
    public func begin(at start: UInt32) {
        control.begin(at: start)
        memory.consumerWake.storeRelaxed(start)
        memory.head.storeRelease(start)
    }

    /// Takes the end for a batch.
    /// - Throws: ``RingError/detached``, ``RingError/busy(owner:)``, or the sticky fault.
    @inlinable @inline(__always) public func hold() throws(RingError) -> ConsumerHold {
        let identity = attachment.current
        // A process that is not attached has the identity 0, and takes nothing by it.
        let before = control.owner.exchangeIfEqual(0, identity)
        guard identity != 0, before == 0, control.faultCode.loadRelaxed() == 0 else {
            throw control.refusal(identity, before)
        }
        return ConsumerHold(self, identity)
    }

    /// Takes the end over from an owner that is known to be dead, and faults it: what the dead consumer
    /// did with the bytes that it saw is not known.
    /// - Throws: ``RingError/busy(owner:)`` when somebody else was faster.
    public func recover(from dead: UInt64) throws(RingError) -> Recovery {
        let identity = attachment.current
        guard identity != 0 else { throw .detached }
        let before = control.owner.exchangeIfEqual(dead, identity)
        guard before == dead else { throw .busy(owner: before) }
        let index = control.index.loadRelaxed()
        memory.head.storeRelease(index)
        control.record(.consumerDied)
        control.release()
        return .reset(index: index)
    }
}

/// The right to read, for a batch. Gives the end back when it ends.
public struct ConsumerHold: ~Copyable {
    @usableFromInline let end: ConsumerEnd
    @usableFromInline let identity: UInt64
    @usableFromInline var head: UInt32
    @usableFromInline var tail: UInt32

    @inlinable @inline(__always) init(_ end: ConsumerEnd, _ identity: UInt64) {
        self.end = end
        self.identity = identity
        head = end.control.index.loadRelaxed()
        tail = end.control.seenPeer.loadRelaxed()
    }

    deinit { giveBack() }

    @inlinable @inline(__always) func giveBack() {
        // In a child after fork the identity reads 0: the end is the parent's to release.
        if end.attachment.current == identity { end.control.release() }
    }

    @inlinable @inline(__always) var used: UInt32 { tail &- head }

    /// In a child after fork an inherited hold must touch nothing: the parent goes on using the control
    /// block, against which this copy of the indices is stale.
    @inlinable @inline(__always) func checkAttached() throws(RingError) {
        guard end.attachment.current == identity else { throw .detached }
    }

    /// Index of the next byte to be read.
    @inlinable public var position: UInt32 { head }

    /// Reads the peer's tail, once, and validates it: it may only move forward, at most a ring ahead.
    @inlinable @inline(__always) mutating func refresh() throws(RingError) {
        try checkAttached()
        // Acquire: pairs with the storeRelease in ProducerHold.publish: the bytes before this tail are there.
        let untrustedTail = end.memory.tail.loadAcquire()
        guard untrustedTail &- head <= end.memory.capacity, untrustedTail &- head >= used else {
            throw end.control.peerFault(
                published: untrustedTail, lowest: tail, highest: head &+ end.memory.capacity)
        }
        tail = untrustedTail
        end.control.seenPeer.storeRelaxed(tail)
    }

    /// Bytes that can be read now.
    @inlinable public mutating func readable() throws(RingError) -> Int {
        try refresh()
        return Int(used)
    }

    /// Copies out as many bytes as there are, and gives their room back.
    /// - Returns: the number of bytes copied, 0 when the ring is empty.
    @inlinable @inline(__always)
    public mutating func read(into bytes: UnsafeMutableRawBufferPointer) throws(RingError) -> Int {
        try checkAttached()
        if Int(used) < bytes.count { try refresh() }
        let count = min(Int(used), bytes.count)
        guard count > 0, let destination = bytes.baseAddress else { return 0 }
        end.memory.load(destination, UInt32(truncatingIfNeeded: count), at: head)
        publish(UInt32(truncatingIfNeeded: count))
        return count
    }

    /// Copies out without giving the room back: a private copy of what may then be consumed.
    @inlinable public mutating func copy(into bytes: UnsafeMutableRawBufferPointer) throws(RingError) -> Int {
        try checkAttached()
        if Int(used) < bytes.count { try refresh() }
        let count = min(Int(used), bytes.count)
        guard count > 0, let destination = bytes.baseAddress else { return 0 }
        end.memory.load(destination, UInt32(truncatingIfNeeded: count), at: head)
        return count
    }

    /// The bytes that are there, in place; only on cached memory (``CopyMode/block``). The peer can change
    /// them at any time: whoever decides by them copies first.
    @inlinable public mutating func peek() throws(RingError) -> RingSpans {
        try refresh()
        return RingSpans(end.memory.data, capacity: end.memory.capacity, from: head, count: used)
    }

    /// Gives back the room of the first `count` bytes of what was peeked.
    @inlinable public mutating func consume(_ count: Int) throws(RingError) {
        try checkAttached()
        guard count >= 0, count <= Int(used) else { throw .overrun(asked: count, available: Int(used)) }
        publish(UInt32(truncatingIfNeeded: count))
    }

    @inlinable @inline(__always) mutating func publish(_ count: UInt32) {
        head = head &+ count
        end.control.index.storeRelease(head)
        if end.memory.copy == .alignedWords { fullFence() }
        // Release: pairs with the acquire in ProducerHold.refresh: the loads of these bytes are done
        // before the producer may overwrite them.
        #if RINGWAY_WEAKEN_HEAD_RELEASE
        // Wrong on purpose: the race test must see a detector report this build.
        end.memory.head.storeRelaxed(head)
        #else
        end.memory.head.storeRelease(head)
        #endif
    }

    /// Asks to be woken when a byte arrives.
    /// - Returns: true when there still is none, so that the caller may sleep (with a bound).
    @inlinable public mutating func requestWake() throws(RingError) -> Bool {
        try checkAttached()
        end.memory.consumerWake.storeRelaxed(head &+ 1)
        // Full fence: the wake index is published before the tail is read again. Pairs with the fence in
        // ProducerHold.finish, between its publication of the tail and its look at the wake index.
        fullFence()
        try refresh()
        return used == 0
    }

    /// Ends the batch.
    /// - Parameter peerPolls: the peer declared that it polls, so neither fence nor doorbell is needed.
    /// - Returns: whether the doorbell has to be rung.
    @inlinable @inline(__always) public consuming func finish(peerPolls: Bool) -> Bool {
        guard end.attachment.current == identity else { return false }
        let old = end.control.notified.loadRelaxed()
        if peerPolls {
            // As in ProducerHold.finish: the range that the next look covers must stay below 2^32.
            if head &- old > end.memory.capacity { end.control.notified.storeRelaxed(head &- end.memory.capacity) }
            return false
        }
        if old == head { return false }
        end.control.notified.storeRelaxed(head)
        // Full fence: pairs with the one in ProducerHold.requestWake.
        fullFence()
        return crossed(end.memory.producerWake.loadRelaxed(), from: old, to: head)
    }
}

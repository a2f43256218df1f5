// SPDX-License-Identifier: Apache-2.0

/// A page that an agent and one program of its guest share for one connection, in guest-local memory: the control
/// blocks of this side's two ends, and the words by which the two agree on who moves the bytes.
///
/// Bytes go by two ways, through the program's socket (the agent pumps) or through the ring at once. Their order is
/// kept by counts of those that went by the socket: whoever would use the ring looks, in a hold, whether as many have
/// come out of that way as have gone in.
public struct DirectPage: @unchecked Sendable {
    /// The producer's control block is at 0, the consumer's behind it.
    @usableFromInline static var deliveredPlace: Int { 128 }
    @usableFromInline static var pumpedPlace: Int { 136 }
    @usableFromInline static var openPlace: Int { 144 }
    @usableFromInline static var endingPlace: Int { 148 }
    @usableFromInline static var attendedPlace: Int { 192 }
    @usableFromInline static var givenUpPlace: Int { 196 }

    @usableFromInline let base: UnsafeMutableRawPointer

    @inlinable public init(_ base: UnsafeMutableRawPointer) { self.base = base }

    @inlinable public var producer: EndControl { EndControl(base) }
    @inlinable public var consumer: EndControl { EndControl(base + EndControl.size) }

    // What the agent writes.

    /// Bytes that the agent has sent into the program's socket, written before the consumer's hold ends in which they
    /// were taken out of the ring.
    @inlinable public var delivered: SharedWord64 { SharedWord64(base + Self.deliveredPlace) }
    /// Bytes that the agent has received from the program's socket, written before the producer's hold ends in which
    /// they were put into the ring.
    @inlinable public var pumped: SharedWord64 { SharedWord64(base + Self.pumpedPlace) }
    /// 1 while the connection is established and has not ended.
    @inlinable public var isOpen: SharedWord32 { SharedWord32(base + Self.openPlace) }
    /// 1 when the peer will send no more: whoever has read all tells the agent.
    @inlinable public var isEnding: SharedWord32 { SharedWord32(base + Self.endingPlace) }

    // What the program writes, and, when it has not come for a while, the agent.

    /// 1 while the program takes bytes out of the ring, so that the agent leaves them there.
    @inlinable public var isAttended: SharedWord32 { SharedWord32(base + Self.attendedPlace) }

    /// 1 when the program has given the ring up, and what had come is in its socket: what comes from then on it has not
    /// left unread.
    @inlinable public var isGivenUp: SharedWord32 { SharedWord32(base + Self.givenUpPlace) }

    /// Whether somebody holds one of the ends.
    public var isHeld: Bool { producer.currentOwner != 0 || consumer.currentOwner != 0 }
}

extension EndControl {
    /// Takes over where an end stands. Nobody may hold either.
    func continues(_ other: EndControl) {
        index.storeRelaxed(other.index.loadRelaxed())
        seenPeer.storeRelaxed(other.seenPeer.loadRelaxed())
        notified.storeRelaxed(other.notified.loadRelaxed())
        faultCode.storeRelease(0)
    }
}

extension ProducerEnd {
    /// The same end, with its state in another control block.
    public func moved(to other: EndControl) -> ProducerEnd {
        other.continues(control)
        return ProducerEnd(memory: memory, control: other, attachment: attachment)
    }
}

extension ConsumerEnd {
    /// The same end, with its state in another control block.
    public func moved(to other: EndControl) -> ConsumerEnd {
        other.continues(control)
        return ConsumerEnd(memory: memory, control: other, attachment: attachment)
    }
}

extension ProducerHold {
    /// Whether its indices can be: another process may have written the control block.
    public var isSound: Bool { tail &- head <= end.memory.capacity }
}

extension ConsumerHold {
    /// As the producer's.
    public var isSound: Bool { tail &- head <= end.memory.capacity }
}

extension EndControl {
    /// Where the end stands, as it is looked at without a hold.
    @inlinable @inline(__always) public var position: UInt32 { index.loadRelaxed() }
}

// SPDX-License-Identifier: Apache-2.0
import RingBuffer

/// What one side says of a channel. A side only ever moves forward within an incarnation:
/// opener CLOSED → OPEN → ESTABLISHED → FINISHED → CLOSED, acceptor CLOSED → ACCEPTED → FINISHED →
/// CLOSED or CLOSED → REFUSED → CLOSED, and from anywhere → RESET → CLOSED.
public enum ChannelState: UInt32, Sendable {
    /// Nothing of this incarnation, or no earlier one, is in use by this side.
    case closed = 0
    /// Opener: port and start index are valid; waits for the other side.
    case open = 1
    /// Acceptor: its start index is valid, and it has taken over the opener's.
    case accepted = 2
    /// Opener: has taken over the acceptor's start index; data may flow both ways.
    case established = 3
    /// The final index is valid: no byte follows it from this side.
    case finished = 4
    /// Given up; what is under way both ways is void. If the final index is not before the start, this side had
    /// finished: what it sent is whole, and who has read it all has its end.
    case reset = 5
    /// Acceptor: no connection; the reason is valid.
    case refused = 6
}

/// A private copy of a side's record, read once.
struct ChannelRecord: Equatable {
    let incarnation: UInt32
    let state: ChannelState
    let port: UInt32
    let startIndex: UInt32
    let finalIndex: UInt32
    let reason: UInt32

    /// Incarnation and state, as they are published.
    var word: UInt64 { UInt64(incarnation) << 32 | UInt64(state.rawValue) }
}

/// The peer's record of a channel.
struct PeerRecord {
    let page: UnsafeMutableRawPointer

    /// - Throws: ``ChannelFault/badState(_:)``.
    func load() throws(ChannelFault) -> ChannelRecord {
        // Acquire: pairs with the storeRelease in OwnRecord.publish: the fields were written before the
        // state that makes them valid, and do not change within an incarnation.
        let untrustedWord = SharedWord64(page + SectionLayout.channelState).loadAcquire()
        guard let state = ChannelState(rawValue: UInt32(truncatingIfNeeded: untrustedWord)) else {
            throw .badState(UInt32(truncatingIfNeeded: untrustedWord))
        }
        return ChannelRecord(
            incarnation: UInt32(untrustedWord >> 32), state: state,
            port: SharedWord32(page + SectionLayout.channelPort).loadRelaxed(),
            startIndex: SharedWord32(page + SectionLayout.channelStartIndex).loadRelaxed(),
            finalIndex: SharedWord32(page + SectionLayout.channelFinalIndex).loadRelaxed(),
            reason: SharedWord32(page + SectionLayout.channelReason).loadRelaxed())
    }
}

/// This side's record of a channel.
struct OwnRecord {
    let page: UnsafeMutableRawPointer

    func set(_ offset: Int, _ value: UInt32) { SharedWord32(page + offset).storeRelaxed(value) }

    func publish(_ incarnation: UInt32, _ state: ChannelState) {
        // For memory that is not cached; on cached memory the release would do. Pairs with the acquire
        // in PeerRecord.load.
        fullFence()
        SharedWord64(page + SectionLayout.channelState)
            .storeRelease(UInt64(incarnation) << 32 | UInt64(state.rawValue))
    }
}

/// What a peer did on a channel that no correct peer does. Sticky until the link is set up anew.
public enum ChannelFault: Error, Equatable, Sendable {
    case badState(UInt32)
    /// The peer's record moved from one state to another that cannot follow it.
    case illegalTransition(own: ChannelState, peer: ChannelState)
    /// The peer opened a channel that only this side may open.
    case notPeersShare
    case badPort(UInt32)
    /// The final index lies before bytes that were already published, or more than a ring ahead.
    case badFinalIndex(UInt32)
    case ring(RingError)

    public var sentence: String { words.text }

    private var words: Message {
        switch self {
        case .badState(let raw): return "the peer published channel state \(raw), which does not exist"
        case .illegalTransition(let own, let peer):
            return "the peer went to channel state \(peer.rawValue) while this side was in \(own.rawValue)"
        case .notPeersShare: return "the peer opened a channel that is this side's to open"
        case .badPort(let port): return "the peer opened a channel to port \(port)"
        case .badFinalIndex(let index): return "the peer's final index \(index) contradicts its tail"
        case .ring(.peerIndex(let published, let lowest, let highest)):
            return "the peer published ring index \(published) where \(lowest) to \(highest) is possible"
        case .ring(.consumerDied): return "a local consumer died while it held the ring"
        case .ring: return "the ring could not be used"
        }
    }
}

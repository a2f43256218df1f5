// SPDX-License-Identifier: Apache-2.0
import RingBuffer

/// What a look at the peer's record brought.
public enum ChannelEvent: Equatable, Sendable {
    case none
    /// The peer wants a connection to this service port: answer with `accept` or `refuse`.
    case opened(port: UInt16)
    /// The peer accepted (opener), or has seen the acceptance (acceptor): bytes may be written.
    case established
    /// The peer refused; the reason is an error number of Linux, as the peer sent it.
    case refused(untrustedReason: UInt32)
    /// No byte follows the final index from the peer.
    case peerFinished
    /// The peer gave the connection up.
    case peerReset
    /// Both directions ended and everything arrived.
    case closed
}

/// Two rings, one each way, carrying one connection at a time; each connection is an incarnation.
///
/// A channel number is used again only after both sides show CLOSED for its incarnation, so bytes left
/// over from one connection never reach the next. Indices go on from where they are and are never zeroed.
public final class Channel {
    public let number: Int
    /// Whether this side may open it.
    public let opensHere: Bool
    public private(set) var producer: ProducerEnd
    public private(set) var consumer: ConsumerEnd
    private let controls: UnsafeMutableRawPointer
    /// Shared with a program for the connection that there is.
    public private(set) var direct: DirectGrant?
    /// Of a connection that has ended; while that program may still be in the ring, no other one begins.
    private var leaving: DirectGrant?
    let own: OwnRecord
    let peer: PeerRecord

    public private(set) var incarnation: UInt32 = 0
    public private(set) var state = ChannelState.closed
    /// Service port of the current or last connection.
    public private(set) var port: UInt16 = 0
    /// Sticky until the link is set up anew; the channel is not looked at any more.
    public private(set) var fault: ChannelFault?
    /// The peer may be sent data.
    public private(set) var isEstablished = false
    /// The peer's final index, once it has finished.
    public private(set) var peerFinal: UInt32?
    /// The same of a connection that the peer has reset behind its end: what it said before is whole.
    public private(set) var finalBeforeReset: UInt32?
    /// The reader has taken bytes out of the ring that are not where they belong yet.
    public var holdsBytes = false
    /// Set when the record has changed, which the peer must be told of by a doorbell in any case.
    public var wantsDoorbell = false
    var pending: ChannelRecord?
    /// The word with the peer's state at the last look.
    private var seenWord: UInt64 = 0

    public init(
        number: Int, side: Side, geometry: SectionGeometry, own: UnsafeMutableRawPointer,
        peer: UnsafeMutableRawPointer, copy: CopyMode, controls: UnsafeMutableRawPointer, attachment: Attachment
    ) {
        self.number = number
        opensHere = geometry.opens(side).contains(number)
        self.controls = controls
        let page = SectionLayout.channelPage(number)
        self.own = OwnRecord(page: own + page)
        self.peer = PeerRecord(page: peer + page)
        producer = ProducerEnd(
            memory: RingMemory(producer: own, consumer: peer, channel: number, geometry: geometry, copy: copy),
            control: EndControl(controls), attachment: attachment)
        consumer = ConsumerEnd(
            memory: RingMemory(producer: peer, consumer: own, channel: number, geometry: geometry, copy: copy),
            control: EndControl(controls + EndControl.size), attachment: attachment)
    }

    /// The first state of a new epoch. The link calls it when the peer has acknowledged that epoch.
    public func resetForEpoch() {
        incarnation = 0
        state = .closed
        port = 0
        fault = nil
        isEstablished = false
        peerFinal = nil
        pending = nil
        producer.begin(at: 0)
        consumer.begin(at: 0)
        own.set(SectionLayout.channelPort, 0)
        own.set(SectionLayout.channelStartIndex, 0)
        own.set(SectionLayout.channelFinalIndex, 0)
        own.set(SectionLayout.channelReason, 0)
        own.set(SectionLayout.channelGrant, 0)
        own.publish(0, .closed)
    }

    func publish(_ next: ChannelState) {
        state = next
        own.publish(incarnation, next)
        wantsDoorbell = true
    }

    func forget() {
        isEstablished = false
        peerFinal = nil
        finalBeforeReset = nil
        pending = nil
        holdsBytes = false
    }

    /// The port of a connection that the peer opened and nobody has accepted or refused yet.
    public var waitingPort: UInt16? { pending == nil ? nil : port }

    // MARK: What this side does

    /// Whether a connection can be opened on this channel now.
    public func isFree() -> Bool {
        guard opensHere, fault == nil, state == .closed, !isLeft else { return false }
        do throws(ChannelFault) {
            let record = try peer.load()
            return record.state == .closed && record.incarnation == incarnation
        } catch {
            // The next look finds it, and whoever looks counts it.
            return false
        }
    }

    /// Opens a connection to a service port of the peer; the channel must be free.
    public func open(port: UInt16) {
        incarnation = incarnation &+ 1
        self.port = port
        forget()
        let start = producer.tail
        producer.begin(at: start)
        own.set(SectionLayout.channelPort, UInt32(port))
        announceStart(start)
        publish(.open)
    }

    /// Accepts what ``ChannelEvent/opened(port:)`` announced.
    public func accept() {
        guard let record = pending else { return }
        pending = nil
        let start = producer.tail
        consumer.begin(at: record.startIndex)
        producer.begin(at: start)
        announceStart(start)
        publish(.accepted)
    }

    /// A final index before the start stands for none: RESET may overwrite FINISHED before the peer has looked.
    private func announceStart(_ start: UInt32) {
        own.set(SectionLayout.channelStartIndex, start)
        own.set(SectionLayout.channelFinalIndex, start &- 1)
    }

    /// Refuses what ``ChannelEvent/opened(port:)`` announced.
    /// - Parameter reason: an error number of Linux.
    public func refuse(_ reason: UInt32) {
        guard pending != nil else { return }
        pending = nil
        own.set(SectionLayout.channelReason, reason)
        publish(.refused)
    }

    /// No byte will follow from this side. Only while data may flow.
    public func finish() {
        guard isEstablished, state == .established || state == .accepted else { return }
        own.set(SectionLayout.channelFinalIndex, producer.tail)
        publish(.finished)
    }

    /// Gives the connection up: what is under way is void.
    public func reset() {
        guard state != .closed || pending != nil, state != .reset else { return }
        forget()
        publish(.reset)
    }

    /// A local or peer fault: resets the connection and does not look at the channel again.
    public func fail(_ why: ChannelFault) {
        guard fault == nil else { return }
        fault = why
        forget()
        publish(.reset)
    }

    /// Where nobody uses the channel: the word with the peer's state, behind which there was nothing to do.
    var restingWord: UInt64? { state == .closed && pending == nil && fault == nil ? seenWord : nil }

    /// Whether every byte up to the peer's final index has been read, and is where it belongs.
    public var hasReadAll: Bool { peerFinal == consumer.head && !holdsBytes }

    // MARK: Direct mode

    /// Shares both ends of the connection that there is with a program. Nobody holds them.
    /// - Parameter number: another one each time, by which the program knows later that the ring is still this
    ///   connection's, also when another agent has taken the section over.
    public func share(_ grant: DirectGrant, _ number: UInt32) {
        grant.number = number
        own.set(SectionLayout.channelGrant, number)
        let page = grant.page
        producer = producer.moved(to: page.producer)
        consumer = consumer.moved(to: page.consumer)
        direct = grant
    }

    /// Takes the ends back: the connection is over, and its record says so, or the link is lost.
    public func takeBack() {
        guard let grant = direct else { return }
        direct = nil
        grant.page.isOpen.storeRelease(0)
        // Full fence: pairs with the one in the program's hold, between taking the end and its look at isOpen
        // (DirectRing): either it sees that the connection is over, or its hold is seen here.
        fullFence()
        producer = producer.moved(to: EndControl(controls))
        consumer = consumer.moved(to: EndControl(controls + EndControl.size))
        if grant.page.isHeld { leaving = grant }
    }

    /// Whether a program that had a connection before may still be writing into the ring.
    public var isLeft: Bool {
        if let grant = leaving, !grant.page.isHeld || grant.isAbandoned() { leaving = nil }
        return leaving != nil
    }

    /// Numbers by which a program finds its parts of the sections: see `DirectGrant.size`.
    public func describe(_ ownOffset: Int, _ peerOffset: Int, _ geometry: SectionGeometry, polls: Bool) -> [UInt64] {
        let page = SectionLayout.channelPage(number)
        let ring = SectionLayout.ringData(number, geometry)
        return [
            UInt64(ownOffset + page), UInt64(ownOffset + ring), UInt64(peerOffset + page), UInt64(peerOffset + ring),
            UInt64(geometry.ringCapacity) << 32 | (polls ? 1 : 0), UInt64(direct?.number ?? 0),
        ]
    }

    // MARK: What the peer did

    /// Looks at the peer's record: at most one event a call.
    public func look() -> ChannelEvent {
        guard fault == nil else { return .none }
        do throws(ChannelFault) {
            let record = try peer.load()
            seenWord = record.word
            switch state {
            case .closed: return try lookWhenClosed(record)
            case .open: return try lookWhenOpen(record)
            case .accepted, .established, .finished: return try lookWhenConnected(record)
            case .reset, .refused: return lookWhenEnding(record)
            }
        } catch {
            if direct != nil, case .badFinalIndex = error {
                // What this side has read is the program's word, and may be what is wrong: the connection is over then,
                // and not the channel.
                reset()
            } else {
                fail(error)
            }
            return .peerReset
        }
    }

    func lookWhenClosed(_ record: ChannelRecord) throws(ChannelFault) -> ChannelEvent {
        if record.incarnation == incarnation {
            if let waiting = pending, record.state != .open {
                // The opener gave up before it was answered.
                guard record.state == .reset else {
                    throw .illegalTransition(own: waiting.state, peer: record.state)
                }
                pending = nil
                publish(.closed)
                return .peerReset
            }
            return .none
        }
        guard !opensHere else { throw .notPeersShare }
        switch record.state {
        case .open:
            guard record.port > 0, record.port <= 65535 else { throw .badPort(record.port) }
            incarnation = record.incarnation
            port = UInt16(record.port)
            forget()
            pending = record
            return .opened(port: port)
        case .reset:
            // Opened and given up between two looks.
            incarnation = record.incarnation
            publish(.closed)
            return .none
        default: throw .illegalTransition(own: .closed, peer: record.state)
        }
    }

    func lookWhenOpen(_ record: ChannelRecord) throws(ChannelFault) -> ChannelEvent {
        guard record.incarnation == incarnation else {
            guard record.state == .closed else { throw .illegalTransition(own: .open, peer: record.state) }
            return .none
        }
        switch record.state {
        case .accepted, .finished:
            consumer.begin(at: record.startIndex)
            isEstablished = true
            publish(.established)
            return .established
        case .refused:
            publish(.closed)
            return .refused(untrustedReason: record.reason)
        case .reset, .closed:
            publish(.closed)
            return .peerReset
        case .open, .established: throw .illegalTransition(own: .open, peer: record.state)
        }
    }

    func lookWhenConnected(_ record: ChannelRecord) throws(ChannelFault) -> ChannelEvent {
        guard record.incarnation == incarnation else {
            throw .illegalTransition(own: state, peer: record.state)
        }
        switch record.state {
        case .open where !opensHere && !isEstablished: return .none
        case .accepted where opensHere: return finishedBoth()
        case .established where !opensHere:
            if isEstablished { return finishedBoth() }
            isEstablished = true
            return .established
        case .finished:
            if !isEstablished {
                isEstablished = true
                return .established
            }
            return try lookAtFinal(record)
        case .reset:
            let isAhead = record.finalIndex &- consumer.head <= UInt32(consumer.capacity)
            forget()
            finalBeforeReset = isAhead ? record.finalIndex : nil
            publish(.closed)
            return .peerReset
        case .closed:
            if holdsBytes { return .none }
            // The peer saw both directions end; if this side did not, bytes are missing. FINISHED may have
            // been overwritten by CLOSED before this look: the final index still stands.
            let complete = state == .finished && (peerFinal ?? record.finalIndex) == consumer.head
            forget()
            publish(.closed)
            return complete ? .closed : .peerReset
        default: throw .illegalTransition(own: state, peer: record.state)
        }
    }

    func lookAtFinal(_ record: ChannelRecord) throws(ChannelFault) -> ChannelEvent {
        if let final = peerFinal {
            guard final == record.finalIndex else { throw .badFinalIndex(record.finalIndex) }
            return finishedBoth()
        }
        guard record.finalIndex &- consumer.head <= UInt32(consumer.capacity) else {
            throw .badFinalIndex(record.finalIndex)
        }
        peerFinal = record.finalIndex
        return .peerFinished
    }

    /// Closes when both directions have ended and both sides have read everything.
    func finishedBoth() -> ChannelEvent {
        guard state == .finished, hasReadAll, producer.isDrained else { return .none }
        forget()
        publish(.closed)
        return .closed
    }

    func lookWhenEnding(_ record: ChannelRecord) -> ChannelEvent {
        guard record.incarnation == incarnation else { return .none }
        switch record.state {
        case .closed, .reset, .refused:
            forget()
            publish(.closed)
            return .closed
        default: return .none
        }
    }
}

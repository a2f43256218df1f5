// SPDX-License-Identifier: Apache-2.0
import RingBuffer

/// What a look at the peer's header brought.
public enum LinkEvent: Equatable, Sendable {
    case none
    /// Both sides have acknowledged each other's epoch: data may move.
    case up
    /// The link was up, or nearly; every connection on it is void.
    case lost(WaitingReason)
    /// Another agent is alive on this side's own section; nothing of it was touched.
    case ownSectionAlive
}

/// The relation of the two agents: epochs, acknowledgements, heartbeats.
///
/// A side that starts publishes a new epoch in state RESET and changes no index and no data byte of its
/// section until the peer has acknowledged that epoch, because until then the peer may still be reading
/// what the side before it published. A side that finds a new epoch, or declares its peer gone, drops all
/// connections, takes a new epoch itself, and only then acknowledges. Data moves only while both
/// acknowledgements match.
public final class Link {
    public enum Phase: Equatable, Sendable { case watching, reset, ready, up, stopped }

    public let side: Side
    public let geometry: SectionGeometry
    let own: OwnHeader
    let peer: PeerHeader
    let misses: UInt32
    let polls: Bool
    let random: () -> UInt32
    let resetSection: () -> Void
    var doorbell: UInt32

    public private(set) var phase: Phase
    public private(set) var reason: WaitingReason
    public private(set) var epoch: UInt32 = 0
    public private(set) var acknowledged: UInt32 = 0
    /// The peer declared that it polls: neither fence nor doorbell is needed.
    public private(set) var peerPolls = false
    /// Number of times that the link has come up.
    public private(set) var timesUp: UInt64 = 0
    /// Set when a word of this side's header has changed in a way that the peer waits for.
    public var wantsDoorbell = false

    var watchTicks: UInt32 = 0
    var watchedHeartbeat: UInt64 = 0
    var beats: UInt64 = 0
    var peerHeartbeat: UInt64 = 0
    public private(set) var silentTicks: UInt32 = 0

    /// - Parameters:
    ///   - own: this side's section. - peer: the other's; may be mapped read-only.
    ///   - doorbell: what the peer must ring to wake this side (0: none). - polls: this side needs no doorbell.
    ///   - misses: ticks of a standing peer heartbeat after which the peer is declared gone.
    ///   - random: a source of random words, for epochs.
    ///   - resetSection: sets all channels of the own section to their first state.
    public init(
        side: Side, geometry: SectionGeometry, own: UnsafeMutableRawPointer, peer: UnsafeMutableRawPointer,
        doorbell: UInt32, polls: Bool, misses: UInt32, random: @escaping () -> UInt32,
        resetSection: @escaping () -> Void
    ) {
        self.side = side
        self.geometry = geometry
        self.own = OwnHeader(own)
        self.peer = PeerHeader(peer)
        self.doorbell = doorbell
        self.polls = polls
        self.misses = misses
        self.random = random
        self.resetSection = resetSection
        let before = LinkWord(untrusted: self.own.link.loadAcquire())
        let inUse = self.own.magic.loadAcquire() == SectionLayout.magic && before?.state != .down
        watchedHeartbeat = self.own.heartbeat.loadAcquire()
        phase = .watching
        reason = .watchingOwnSection
        // Two periods of another agent's heartbeat, and one for the tick that is already running.
        watchTicks = inUse ? 3 : 0
        if watchTicks == 0 { start() }
    }

    public var isUp: Bool { phase == .up }

    /// A new doorbell identifier (a device that was plugged again).
    public func changeDoorbell(_ identifier: UInt32) {
        guard identifier != doorbell, phase != .watching, phase != .stopped else { return }
        doorbell = identifier
        start()
    }

    /// What to write to the doorbell to wake the peer (untrusted: any word): as it stands in its header now,
    /// because the peer must hear of a new epoch before it has acknowledged it.
    public func peerDoorbell() -> UInt32 { peer.load(SectionLayout.headerDoorbell) }

    func newEpoch() -> UInt32 {
        while true {
            let candidate = random() & UInt32(LinkWord.epochMask)
            if candidate != 0, candidate != epoch { return candidate }
        }
    }

    func publish(_ state: LinkState) {
        // Full fence before the release store for memory that is not cached. The store pairs with the
        // acquire of the link word in the peer's look(): what was written before it is seen with it.
        fullFence()
        own.link.storeRelease(LinkWord(state, epoch: epoch, acknowledged: acknowledged).raw)
        wantsDoorbell = true
    }

    /// Takes a new epoch in state RESET. Index words and data stay as they are.
    func start() {
        epoch = newEpoch()
        phase = .reset
        silentTicks = 0
        publish(.reset)
        own.publish(side: side, geometry: geometry, doorbell: doorbell, polls: polls)
    }

    func restart(_ why: WaitingReason) -> LinkEvent {
        let wasUp = phase == .up || phase == .ready
        start()
        reason = why
        return wasUp ? .lost(why) : .none
    }

    /// Looks at the peer's header: before each batch of work and on each wake-up. Cheap.
    public func look() -> LinkEvent {
        switch phase {
        case .watching, .stopped: return .none
        case .reset: return lookInReset()
        case .ready, .up: return lookInReady()
        }
    }

    func lookInReset() -> LinkEvent {
        if let why = peer.check(side: side, geometry: geometry) {
            reason = why
            return .none
        }
        // Acquire: pairs with the storeRelease in the peer's publish().
        let untrustedWord = peer.link.loadAcquire()
        guard let word = LinkWord(untrusted: untrustedWord) else {
            reason = .badLinkWord(untrustedWord)
            return .none
        }
        guard word.state != .down, word.epoch != 0 else {
            reason = .peerStopped
            return .none
        }
        if word.epoch != acknowledged {
            // No connection of this epoch exists yet, so there is nothing to drop before this.
            acknowledged = word.epoch
            publish(.reset)
        }
        guard word.acknowledged == epoch else {
            if silentTicks < misses { reason = .awaitingAcknowledgement }
            return .none
        }
        // The peer has let go of all that the epochs before this one published: the section may change.
        resetSection()
        peerPolls = peer.load(SectionLayout.headerFlags) & SectionLayout.flagPolls != 0
        peerHeartbeat = peer.heartbeat.loadRelaxed()
        silentTicks = 0
        phase = .ready
        reason = .peerSettingUp
        publish(.ready)
        return lookInReady()
    }

    func lookInReady() -> LinkEvent {
        // Acquire: pairs with the storeRelease in the peer's publish(); READY of this epoch vouches for
        // the peer's channel pages.
        let untrustedWord = peer.link.loadAcquire()
        guard let word = LinkWord(untrusted: untrustedWord) else { return restart(.badLinkWord(untrustedWord)) }
        if word.state == .down { return restart(.peerStopped) }
        guard word.epoch == acknowledged, word.acknowledged == epoch else { return restart(.peerRestarted) }
        switch (phase, word.state) {
        case (.ready, .ready):
            phase = .up
            timesUp += 1
            return .up
        case (.up, .reset): return restart(.peerRestarted)
        default: return .none
        }
    }

    /// One heartbeat period has passed, by this side's own clock.
    public func tick() -> LinkEvent {
        switch phase {
        case .stopped: return .none
        case .watching: return watch()
        case .reset, .ready, .up: break
        }
        beats &+= 1
        own.heartbeat.storeRelease(beats)
        let untrustedBeat = peer.heartbeat.loadRelaxed()
        if untrustedBeat != peerHeartbeat {
            peerHeartbeat = untrustedBeat
            silentTicks = 0
        } else {
            silentTicks = silentTicks &+ 1
        }
        if silentTicks >= misses {
            if phase != .reset { return restart(.silent(ticks: silentTicks)) }
            if reason == .awaitingAcknowledgement { reason = .silent(ticks: silentTicks) }
            if case .silent = reason { reason = .silent(ticks: silentTicks) }
        }
        return look()
    }

    func watch() -> LinkEvent {
        let beat = own.heartbeat.loadRelaxed()
        if beat != watchedHeartbeat { return .ownSectionAlive }
        watchTicks -= 1
        if watchTicks == 0 {
            // The heartbeat goes on from where it stood, so that the peer sees it move at once.
            beats = beat
            start()
        }
        return .none
    }

    /// Tells the peer that this agent stops. Touches nothing while the own section is only watched.
    public func stop() {
        guard phase != .watching, phase != .stopped else { return }
        phase = .stopped
        publish(.down)
    }
}

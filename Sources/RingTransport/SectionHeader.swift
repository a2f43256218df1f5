// SPDX-License-Identifier: Apache-2.0
import RingBuffer

/// This side's header page: the words that it alone writes.
public struct OwnHeader {
    let base: UnsafeMutableRawPointer
    let link: SharedWord64
    let heartbeat: SharedWord64

    public init(_ base: UnsafeMutableRawPointer) {
        self.base = base
        link = SharedWord64(base + SectionLayout.headerLinkWord)
        heartbeat = SharedWord64(base + SectionLayout.headerHeartbeat)
    }

    var magic: SharedWord64 { SharedWord64(base + SectionLayout.headerMagic) }

    func word(_ offset: Int) -> SharedWord32 { SharedWord32(base + offset) }

    /// Publishes who this side is. The caller has published a new epoch in state RESET before.
    func publish(side: Side, geometry: SectionGeometry, doorbell: UInt32, polls: Bool) {
        magic.storeRelease(0)
        fullFence()
        word(SectionLayout.headerVersion).storeRelaxed(SectionLayout.version)
        word(SectionLayout.headerSide).storeRelaxed(side.rawValue)
        word(SectionLayout.headerChannels).storeRelaxed(UInt32(geometry.channels))
        word(SectionLayout.headerRingCapacity).storeRelaxed(UInt32(geometry.ringCapacity))
        word(SectionLayout.headerOpensA).storeRelaxed(UInt32(geometry.opensA))
        word(SectionLayout.headerDoorbell).storeRelaxed(doorbell)
        word(SectionLayout.headerFlags).storeRelaxed(polls ? SectionLayout.flagPolls : 0)
        // Full fence for memory that is not cached; release pairs with the acquire of the magic in
        // PeerHeader.check: whoever sees the magic sees the fields.
        fullFence()
        magic.storeRelease(SectionLayout.magic)
    }
}

/// The peer's header page, read-only: every word is untrusted until it has been compared.
public struct PeerHeader {
    let base: UnsafeMutableRawPointer
    let link: SharedWord64
    let heartbeat: SharedWord64

    public init(_ base: UnsafeMutableRawPointer) {
        self.base = base
        link = SharedWord64(base + SectionLayout.headerLinkWord)
        heartbeat = SharedWord64(base + SectionLayout.headerHeartbeat)
    }

    func load(_ offset: Int) -> UInt32 { SharedWord32(base + offset).loadRelaxed() }

    /// Compares the header with this side's configuration.
    /// - Returns: nil when it fits, else why the link has to wait.
    func check(side: Side, geometry: SectionGeometry) -> WaitingReason? {
        // Acquire: pairs with the last storeRelease in OwnHeader.publish.
        let untrustedMagic = SharedWord64(base + SectionLayout.headerMagic).loadAcquire()
        if untrustedMagic == 0 { return .noPeer }
        guard untrustedMagic == SectionLayout.magic else { return .garbage(untrustedMagic) }
        let untrustedVersion = load(SectionLayout.headerVersion)
        guard untrustedVersion == SectionLayout.version else { return .otherVersion(untrustedVersion) }
        let untrustedSide = load(SectionLayout.headerSide)
        guard untrustedSide == side.peer.rawValue else { return .wrongSide(untrustedSide) }
        let untrustedChannels = load(SectionLayout.headerChannels)
        let untrustedCapacity = load(SectionLayout.headerRingCapacity)
        let untrustedOpensA = load(SectionLayout.headerOpensA)
        guard untrustedChannels == UInt32(geometry.channels),
            untrustedCapacity == UInt32(geometry.ringCapacity), untrustedOpensA == UInt32(geometry.opensA)
        else {
            return .otherGeometry(
                channels: untrustedChannels, ringCapacity: untrustedCapacity, opensA: untrustedOpensA)
        }
        return nil
    }
}

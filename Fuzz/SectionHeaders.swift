// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

@testable import RingTransport

nonisolated(unsafe) private let own = PeerMemory(size: SectionLayout.pageSize)
nonisolated(unsafe) private let peer = PeerMemory(size: SectionLayout.pageSize)
private let geometry = SectionGeometry(channels: 2, ringCapacity: 4096, opensA: 1)!

/// A link whose peer's header holds anything, at any step: data moves only while both acknowledgements match, and the
/// own section is set up for an epoch only behind the peer's acknowledgement of it.
func fuzzSectionHeaders(_ input: inout Input) {
    own.clear()
    peer.clear()
    let start = input.byte()
    if start & 1 != 0 {
        // What an agent before this one left behind.
        for offset in 0..<64 { own.writable.storeBytes(of: input.byte(), toByteOffset: offset * 8, as: UInt8.self) }
    }
    let run = LinkRun(side: start & 2 == 0 ? .a : .b)
    while !input.isEmpty { run.step(&input) }
}

private final class LinkRun {
    private var link: Link!
    private let side: Side
    private var seed: UInt32 = 1
    private var resets = 0
    private var isStopped = false

    init(side: Side) {
        self.side = side
        link = Link(
            side: side, geometry: geometry, own: own.writable, peer: peer.readOnly, doorbell: 7, polls: false,
            misses: 3,
            random: { [unowned self] in
                seed = seed &* 1_664_525 &+ 1_013_904_223
                return seed >> 4
            },
            resetSection: { [unowned self] in reset() })
    }

    private var peerWord: LinkWord? {
        LinkWord(untrusted: SharedWord64(peer.readOnly + SectionLayout.headerLinkWord).loadAcquire())
    }

    private func reset() {
        resets += 1
        must(peerWord?.acknowledged == link.epoch, "set up without the peer's acknowledgement")
    }

    func step(_ input: inout Input) {
        let what = input.byte()
        switch what & 15 {
        case 0...2: fields(&input)
        case 3...5: word(&input)
        case 6: honest()
        case 7...10: follow(link.look())
        case 11, 12:
            let beat = SharedWord64(peer.writable + SectionLayout.headerHeartbeat)
            if what & 16 != 0 { beat.storeRelease(beat.loadAcquire() &+ 1) }
            follow(link.tick())
        case 13: link.changeDoorbell(UInt32(what >> 4))
        case 14: otherPart(what >> 4)
        default:
            // An agent of this side that is alive on the section.
            let beat = SharedWord64(own.writable + SectionLayout.headerHeartbeat)
            if link.phase == .watching { beat.storeRelease(beat.loadAcquire() &+ 1) }
            if what & 0xE0 == 0xE0 {
                isStopped = isStopped || link.phase != .watching
                link.stop()
            }
        }
        check()
    }

    /// A field of the header that is read before the magic is believed.
    private func fields(_ input: inout Input) {
        let places: [(Int, UInt32)] = [
            (SectionLayout.headerVersion, 1), (SectionLayout.headerSide, side.peer.rawValue),
            (SectionLayout.headerChannels, 2), (SectionLayout.headerRingCapacity, 4096),
            (SectionLayout.headerOpensA, 1), (SectionLayout.headerDoorbell, 9), (SectionLayout.headerFlags, 1),
        ]
        let (place, right) = places[input.below(places.count)]
        SharedWord32(peer.writable + place).storeRelaxed(input.number(right, right, 0, .max))
        if input.bool() {
            SharedWord64(peer.writable).storeRelease(
                [SectionLayout.magic, 0, SectionLayout.magic &+ 1][input.below(3)])
        }
    }

    private func word(_ input: inout Input) {
        let epochs: [UInt32] = [1, 2, 0, link.epoch, link.acknowledged, 0x3FFF_FFFF]
        let state = UInt64(input.number(0, 1, 2, 3) & 15)
        let epoch = UInt64(epochs[input.below(6)])
        SharedWord64(peer.writable + SectionLayout.headerLinkWord).storeRelease(
            state << 60 | epoch << 30 | UInt64(epochs[input.below(6)]))
    }

    /// One part of the peer's word becomes another.
    private func otherPart(_ which: UInt8) {
        _ = link.peerDoorbell()
        guard let word = peerWord else { return }
        SharedWord64(peer.writable + SectionLayout.headerLinkWord).storeRelease(
            LinkWord(
                which & 1 == 0 ? word.state : .ready, epoch: word.epoch ^ UInt32(which >> 1 & 1),
                acknowledged: word.acknowledged ^ UInt32(which >> 2 & 1)
            ).raw)
    }

    /// What a well-behaved peer would say next.
    private func honest() {
        let header = OwnHeader(peer.writable)
        let before = peerWord
        header.publish(side: side.peer, geometry: geometry, doorbell: 9, polls: false)
        let state: LinkState = before?.acknowledged == link.epoch && link.phase != .reset ? .ready : .reset
        let epoch = before.map { $0.epoch == 0 ? 77 : $0.epoch } ?? 77
        header.link.storeRelease(LinkWord(state, epoch: epoch, acknowledged: link.epoch).raw)
    }

    private func follow(_ event: LinkEvent) {
        if link.isUp {
            must(peerWord?.acknowledged == link.epoch && peerWord?.epoch == link.acknowledged, "up, and epochs differ")
            must(peerWord?.state == .ready, "up, and the peer is not ready")
        }
        switch event {
        case .up:
            must(link.isUp, "up, and is not")
            must(resets > 0, "up without a section that was set up")
        case .lost: must(!link.isUp, "lost, and up")
        case .none, .ownSectionAlive: break
        }
    }

    private func check() {
        must(!link.reason.sentence(side: side, geometry: geometry).isEmpty, "a reason without words")
        if isStopped { must(link.phase == .stopped, "went on behind its end") }
        guard link.phase != .watching else { return }
        let word = LinkWord(untrusted: SharedWord64(own.readOnly + SectionLayout.headerLinkWord).loadAcquire())
        must(word?.epoch == link.epoch && link.epoch != 0, "the header says epoch \(String(describing: word))")
        must(word?.acknowledged == link.acknowledged, "the header acknowledges \(String(describing: word))")
        let expected: LinkState = link.phase == .reset ? .reset : link.phase == .stopped ? .down : .ready
        must(word?.state == expected, "\(link.phase), and the header says \(String(describing: word))")
        must(SharedWord64(own.readOnly).loadAcquire() == SectionLayout.magic, "no magic")
    }
}

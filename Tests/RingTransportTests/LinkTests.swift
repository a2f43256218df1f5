// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import Testing

@testable import RingTransport

/// Two sections in plain memory, and an agent's link on each that can be killed and started again.
final class TwoLinks {
    static let geometry = SectionGeometry(channels: 2, ringCapacity: 4096, opensA: 1)!
    let memory: [UnsafeMutableRawPointer]
    var links: [Link?] = [nil, nil]
    var seed: UInt32 = 1
    /// A side set up its section anew while the peer's link was still up on the old contents.
    var touchedWhileRead = 0
    var resets = [0, 0]

    init() {
        memory = (0..<2).map { _ in
            let section = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
            section.initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
            return section
        }
    }

    deinit { memory.forEach { $0.deallocate() } }

    func start(_ side: Int, geometry: SectionGeometry = TwoLinks.geometry) {
        links[side] = Link(
            side: Side(rawValue: UInt32(side))!, geometry: geometry, own: memory[side], peer: memory[1 - side],
            doorbell: 7, polls: false, misses: 3,
            random: {
                self.seed = self.seed &* 1_664_525 &+ 1_013_904_223
                return self.seed
            },
            resetSection: {
                self.resets[side] += 1
                if self.links[1 - side]?.isUp == true { self.touchedWhileRead += 1 }
            })
    }

    /// Starts an agent and lets it finish watching its own section, but not look at the peer's.
    func startAndWatch(_ side: Int) {
        start(side)
        while links[side]?.phase == .watching { _ = links[side]?.tick() }
    }

    func kill(_ side: Int) { links[side] = nil }
    func look(_ side: Int) -> LinkEvent { links[side]?.look() ?? .none }

    /// Ticks until nothing changes; enough for every handshake and for the watch of an own section.
    func settle() {
        for _ in 0..<12 {
            for side in 0..<2 { _ = links[side]?.tick() }
            for side in 0..<2 { _ = links[side]?.look() }
        }
    }

    var bothUp: Bool { links[0]?.isUp == true && links[1]?.isUp == true }
}

@Suite struct LinkTests {
    @Test func linkWordKeepsItsFields() {
        for state in [LinkState.down, .reset, .ready] {
            for epoch in [UInt32(1), 0x3FFF_FFFF] {
                for acknowledged in [UInt32(0), 5, 0x3FFF_FFFF] {
                    let word = LinkWord(state, epoch: epoch, acknowledged: acknowledged)
                    #expect(LinkWord(untrusted: word.raw) == word)
                }
            }
        }
        #expect(LinkWord(untrusted: 7 << 60) == nil)
    }

    /// Every sequence of looks, kills and starts up to this length, then a settled link.
    @Test func everyOrderOfStartKillAndLookEndsUp() {
        enum Step: CaseIterable { case lookA, lookB, restartA, restartB, killA, killB }
        let steps = Step.allCases
        let length = 6
        var total = 1
        for _ in 0..<length { total *= steps.count }
        for number in 0..<total {
            let two = TwoLinks()
            two.start(0)
            var rest = number
            for _ in 0..<length {
                switch steps[rest % steps.count] {
                case .lookA: _ = two.look(0)
                case .lookB: _ = two.look(1)
                case .restartA: two.startAndWatch(0)
                case .restartB: two.startAndWatch(1)
                case .killA: two.kill(0)
                case .killB: two.kill(1)
                }
                rest /= steps.count
            }
            if two.links[0] == nil { two.start(0) }
            if two.links[1] == nil { two.start(1) }
            two.settle()
            if !two.bothUp || two.touchedWhileRead > 0 {
                Issue.record("sequence \(number): up \(two.bothUp), touched while read \(two.touchedWhileRead)")
                return
            }
        }
    }

    @Test func nothingButTheHeaderChangesBeforeTheAcknowledgement() {
        let two = TwoLinks()
        two.start(0)
        for _ in 0..<20 { _ = two.links[0]?.tick() }
        #expect(two.resets[0] == 0)
        #expect(two.links[0]?.reason == .noPeer)
        two.start(1)
        two.settle()
        #expect(two.bothUp)
        #expect(two.resets == [1, 1])
    }

    @Test func aSilentPeerIsGivenUpAndTakenBack() {
        let two = TwoLinks()
        two.start(0)
        two.start(1)
        two.settle()
        var lost: LinkEvent = .none
        var ticks = 0
        while lost == .none, ticks < 10 {
            lost = two.links[0]?.tick() ?? .none
            ticks += 1
        }
        #expect(lost == .lost(.silent(ticks: 3)))
        // It was only paused: its next look finds the new epoch.
        #expect(two.look(1) == .lost(.peerRestarted))
        two.settle()
        #expect(two.bothUp)
    }

    @Test func aStoppedPeerIsNamed() {
        let two = TwoLinks()
        two.start(0)
        two.start(1)
        two.settle()
        two.links[1]?.stop()
        #expect(two.look(0) == .lost(.peerStopped))
        _ = two.look(0)
        #expect(two.links[0]?.reason == .peerStopped)
    }

    @Test func aLiveAgentOnTheSameSectionIsLeftAlone() {
        let two = TwoLinks()
        two.start(0)
        two.start(1)
        two.settle()
        let first = two.links[0]!
        let epoch = first.epoch
        two.start(0)  // a second agent of the same side; `first` goes on beating
        let second = two.links[0]!
        #expect(second.phase == .watching)
        _ = first.tick()
        #expect(second.tick() == .ownSectionAlive)
        #expect(first.epoch == epoch)
        #expect(two.look(1) == .none)
        #expect(two.links[1]!.isUp)
    }

    @Test func whatThePeersSectionHoldsIsAWaitingState() {
        let cases: [(Int, UInt32, WaitingReason)] = [
            (SectionLayout.headerMagic, 0xDEAD_BEEF, .garbage(0x3159_4157_DEAD_BEEF)),
            (SectionLayout.headerVersion, 9, .otherVersion(9)),
            (SectionLayout.headerSide, 0, .wrongSide(0)),
            (SectionLayout.headerChannels, 3, .otherGeometry(channels: 3, ringCapacity: 4096, opensA: 1)),
            (SectionLayout.headerRingCapacity, 8192, .otherGeometry(channels: 2, ringCapacity: 8192, opensA: 1)),
            (SectionLayout.headerOpensA, 2, .otherGeometry(channels: 2, ringCapacity: 4096, opensA: 2)),
        ]
        for (offset, value, reason) in cases {
            let two = TwoLinks()
            two.start(1)
            SharedWord32(two.memory[1] + offset).storeRelease(value)
            two.start(0)
            _ = two.look(0)
            #expect(two.links[0]?.reason == reason)
            #expect(two.links[0]?.acknowledged == 0)
            let sentence = reason.sentence(side: .a, geometry: TwoLinks.geometry)
            #expect(sentence.contains("side b"))
        }
        let two = TwoLinks()
        two.start(1)
        SharedWord64(two.memory[1] + SectionLayout.headerLinkWord).storeRelease(UInt64.max)
        two.start(0)
        _ = two.look(0)
        #expect(two.links[0]?.reason == .badLinkWord(UInt64.max))
    }
}

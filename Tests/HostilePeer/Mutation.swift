// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import RingBuffer
import RingTransport
import TestSupport

/// What may be done to a channel other than the honest one.
enum Mutation: String, CaseIterable {
    case tail, head, state, replayedState, port, startIndex, finalIndex, reason, wakeIndices, payload, othersOpen
    case replayedPage, doorbellStorm, headerWords, agentsWords

    /// What a channel mostly survives comes more often: behind a fault nobody looks at it before the next epoch.
    static let drawn = allCases.flatMap { kind -> [Mutation] in
        switch kind {
        case .wakeIndices, .payload, .headerWords, .agentsWords: Array(repeating: kind, count: 8)
        case .startIndex, .doorbellStorm, .reason: Array(repeating: kind, count: 3)
        default: [kind]
        }
    }
    /// What a connection survives.
    static let gentle: [Mutation] = [.wakeIndices, .doorbellStorm, .headerWords]
}

/// A channel with an odd number carries noise, and its ring holds nothing but bytes that name it: whatever a lie makes
/// the agent read, bytes of elsewhere show in the program that gets them. The others carry USB/IP.
extension Channel {
    var carriesNoise: Bool { number & 1 != 0 }
    var service: UInt16 { carriesNoise ? Services.noise : Services.usb }
}

/// Does to channels 1 to 15 what the seed says. The words are written as any peer can: past the code that would not.
struct Mutator {
    let victim: any Victim
    var random: SeededGenerator
    private(set) var counts: [Mutation: Int] = [:]
    /// Old states of a channel page, one of each kind of channel.
    private var snapshots: [[UInt8]] = [[], []]

    init(_ victim: any Victim, seed: UInt64) {
        self.victim = victim
        random = SeededGenerator(seed)
    }

    mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

    /// Does one thing.
    /// - Parameters:
    ///   - channel: where; its connection may be in any state.
    ///   - gently: the connection is to go on.
    mutating func mutate(_ channel: Channel, gently: Bool = false) {
        let choice = gently ? Mutation.gentle : Mutation.drawn
        let kind = choice[below(choice.count)]
        counts[kind, default: 0] += 1
        let page = victim.own + SectionLayout.channelPage(channel.number)
        switch kind {
        case .tail: set(page, SectionLayout.channelTail, index(channel.producer.tail))
        case .head: set(page, SectionLayout.channelHead, index(channel.consumer.head))
        case .state: publish(page, channel.incarnation &+ UInt32(below(3)) &- 1, UInt32(below(9)))
        case .replayedState: publish(page, channel.incarnation, UInt32(below(7)))
        case .port:
            set(page, SectionLayout.channelPort, [0, 65536, .max, UInt32(channel.service)][below(4)])
            publish(page, channel.incarnation &+ 1, ChannelState.open.rawValue)
        case .startIndex:
            set(page, SectionLayout.channelStartIndex, index(channel.producer.tail))
            publish(page, channel.incarnation &+ UInt32(below(2)), UInt32(1 + below(3)))
        case .finalIndex:
            set(page, SectionLayout.channelFinalIndex, index(channel.producer.tail))
            publish(page, channel.incarnation, ChannelState.finished.rawValue)
        case .reason:
            set(page, SectionLayout.channelReason, index(111))
            publish(page, channel.incarnation, ChannelState.refused.rawValue)
        case .wakeIndices:
            set(page, SectionLayout.channelConsumerWake, index(channel.consumer.head))
            set(page, SectionLayout.channelProducerWake, index(channel.producer.tail))
        case .payload: race(channel)
        case .othersOpen:
            set(page, SectionLayout.channelPort, 3240)
            publish(page, channel.incarnation &+ 1, ChannelState.open.rawValue)
        case .replayedPage: replay(page, channel.number & 1)
        case .doorbellStorm: for _ in 0..<100 { victim.ring() }
        case .headerWords: header()
        case .agentsWords: agents(channel)
        }
        victim.ring()
    }

    private func set(_ page: UnsafeMutableRawPointer, _ offset: Int, _ value: UInt32) {
        SharedWord32(page + offset).storeRelease(value)
    }

    private func publish(_ page: UnsafeMutableRawPointer, _ incarnation: UInt32, _ state: UInt32) {
        SharedWord64(page + SectionLayout.channelState).storeRelease(UInt64(incarnation) << 32 | UInt64(state))
    }

    /// An index near the right one, or a ring away, or anywhere.
    private mutating func index(_ right: UInt32) -> UInt32 {
        let ring = UInt32(Attack.geometry.ringCapacity)
        let near = [right, right &+ 1, right &- 1, right &+ ring, right &+ ring &+ 1, right &- ring, right ^ 1 << 31]
        return below(4) == 0 ? UInt32(truncatingIfNeeded: random.next()) : near[below(near.count)]
    }

    /// Publishes bytes and changes them while they are read.
    private mutating func race(_ channel: Channel) {
        let data = victim.own + SectionLayout.ringData(channel.number, Attack.geometry)
        let size = Attack.geometry.ringCapacity
        if channel.isEstablished, channel.fault == nil, var hold = try? channel.producer.hold() {
            let bytes = (0..<8).flatMap { _ in payload(channel) }
            _ = try? bytes.withUnsafeBytes { try hold.write($0) }
            _ = hold.finish(peerPolls: false)
            victim.ring()
        }
        for _ in 0..<256 {
            let word = channel.carriesNoise ? Self.noise(channel.number, random.next()) : random.next()
            data.storeBytes(of: word, toByteOffset: below(size / 8) * 8, as: UInt64.self)
        }
    }

    /// Changes bytes that were published, while they are read.
    mutating func scribble(_ channel: Channel, _ start: UInt32, _ payload: Range<Int>) {
        let data = victim.own + SectionLayout.ringData(channel.number, Attack.geometry)
        for _ in 0..<64 {
            let index = start &+ UInt32(payload.lowerBound + below(payload.count))
            let place = Int(index) & (Attack.geometry.ringCapacity - 1)
            data.storeBytes(of: UInt8(truncatingIfNeeded: random.next()), toByteOffset: place, as: UInt8.self)
        }
    }

    /// Eight bytes that name a channel.
    static func noise(_ number: Int, _ word: UInt64) -> UInt64 {
        word & 0x0F0F_0F0F_0F0F_0F0F | UInt64(number) &* 0x1010_1010_1010_1010
    }

    /// What a channel carries: some bytes of its own, or a PDU.
    mutating func payload(_ channel: Channel) -> [UInt8] {
        guard channel.carriesNoise else { return USBBytes.header(&random, command: UInt32(1 + below(4))) }
        return (0..<6).flatMap { _ in withUnsafeBytes(of: Self.noise(channel.number, random.next())) { Array($0) } }
    }

    /// Before the first connection.
    mutating func fillRings() {
        for number in stride(from: 1, to: Attack.geometry.channels, by: 2) {
            let data = victim.own + SectionLayout.ringData(number, Attack.geometry)
            for place in stride(from: 0, to: Attack.geometry.ringCapacity, by: 8) {
                data.storeBytes(of: Self.noise(number, random.next()), toByteOffset: place, as: UInt64.self)
            }
        }
    }

    /// Keeps a page, or puts back one that was kept, from whatever channel of its kind.
    private mutating func replay(_ page: UnsafeMutableRawPointer, _ kind: Int) {
        let size = 0x280
        if snapshots[kind].isEmpty || below(3) == 0 {
            snapshots[kind] = Array(UnsafeRawBufferPointer(start: page, count: size))
        } else {
            snapshots[kind].withUnsafeBytes { page.copyMemory(from: $0.baseAddress!, byteCount: size) }
        }
    }

    /// What an agent reads of a header while its link is up, but for the link word; and what it should not read then.
    private mutating func header() {
        let places = [
            SectionLayout.headerMagic, SectionLayout.headerVersion, SectionLayout.headerSide,
            SectionLayout.headerChannels, SectionLayout.headerRingCapacity, SectionLayout.headerOpensA,
            SectionLayout.headerDoorbell, SectionLayout.headerFlags, SectionLayout.headerHeartbeat,
        ]
        set(victim.own, places[below(places.count)], UInt32(truncatingIfNeeded: random.next()))
    }

    /// The agent's own published words, where a monitor lets both guests write both sections: it believes its own
    /// memory.
    private mutating func agents(_ channel: Channel) {
        let page = victim.agents + SectionLayout.channelPage(channel.number)
        let places = [
            SectionLayout.channelTail, SectionLayout.channelHead, SectionLayout.channelConsumerWake,
            SectionLayout.channelProducerWake, SectionLayout.channelState, SectionLayout.channelStartIndex,
        ]
        set(page, places[below(places.count)], UInt32(truncatingIfNeeded: random.next()))
    }
}

// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import Testing

@testable import RingTransport

/// Which channels a pass looks at: all that somebody uses, or that the peer has touched.
@Suite struct RestingChannelsTests {
    private let sides = TwoSides()
    /// Side b's, whose channel 0 the peer may open, and channel 1 this side.
    private var resting: RestingChannels

    init() { resting = RestingChannels(count: 2, peer: sides.memory[0]) }

    private mutating func found() -> [Int] {
        resting.find()
        return Array(resting.busy)
    }

    /// As a pass does it.
    private mutating func pass() -> [ChannelEvent] {
        found().map { number in
            let event = sides.b[number].look()
            resting.update(sides.b[number])
            return event
        }
    }

    @Test mutating func nobody() {
        #expect(found() == [0, 1])
        #expect(pass() == [.none, .none])
        #expect(found() == [])
        resting.wakeAll()
        #expect(found() == [0, 1])
    }

    /// From the peer's opening to the last state of either side, and once more behind it.
    @Test mutating func aConnectionOfThePeers() throws {
        _ = pass()
        for _ in 0..<2 {
            sides.a[0].open(port: 3240)
            #expect(pass() == [.opened(port: 3240)])
            // As long as nobody has answered it is looked at, and the channel beside it is not.
            #expect(found() == [0])
            sides.b[0].accept()
            #expect(sides.a[0].look() == .established)
            #expect(pass() == [.established] && found() == [0])
            sides.a[0].finish()
            sides.b[0].finish()
            #expect(pass() == [.peerFinished])
            #expect(sides.a[0].look() == .peerFinished)
            #expect(pass() == [.closed] && found() == [])
            #expect(sides.a[0].look() == .closed)
            // What the peer says of the end is seen once.
            #expect(pass() == [.none] && found() == [])
        }
    }

    @Test mutating func aConnectionOfItsOwn() {
        _ = pass()
        sides.b[1].open(port: 7)
        resting.update(sides.b[1])
        #expect(found() == [1])
        sides.b[1].reset()
        #expect(pass() == [.none] && found() == [1])
        _ = sides.a[1].look()
        #expect(pass() == [.closed] && found() == [])
    }

    /// What no correct peer says is found.
    @Test(arguments: [UInt64(7), 1 << 32, 5 << 32 | 2, .max, 0xFFFF_FFFF]) mutating func aHostilePeer(_ word: UInt64) {
        _ = pass()
        let place = sides.memory[0] + SectionLayout.channelPage(0) + SectionLayout.channelState
        SharedWord64(place).storeRelease(word)
        #expect(pass() == [.peerReset])
        #expect(sides.b[0].fault != nil)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import RingBuffer
import TestSupport
import Testing

/// Whatever index a hostile peer publishes: a possible one is taken, any other is a typed, sticky fault.
@Suite struct PeerFaultTests {
    enum Look: CaseIterable { case count, move, inPlace, wake, copyOut }

    /// Values around the own index, closer than two rings and as far as indices go.
    private func published(around index: UInt32, _ capacity: Int) -> [UInt32] {
        let reach = Int32(2 * capacity + 2)
        return (-reach...reach).map { index &+ UInt32(bitPattern: $0) }
            + [0x4000_0000, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xC000_0000].map { index &+ $0 }
    }

    @Test(arguments: Look.allCases) func everyHeadThatAProducerMaySee(_ look: Look) throws {
        var tally = Tally()
        for capacity in [2, 4, 8] {
            let ring = try RingFixture(capacity: capacity)
            for start in startIndices(capacity) {
                for used in 0...capacity {
                    let tail = start &+ UInt32(used)
                    for head in published(around: tail, capacity) {
                        ring.begin(at: start)
                        _ = try ring.write([UInt8](repeating: 1, count: used))
                        ring.memory.head.storeRelaxed(head)
                        // Legal: from what was seen last to what was written.
                        let isLegal = head &- start <= UInt32(used)
                        let fault = RingError.peerIndex(published: head, lowest: start, highest: tail)
                        let thrown = producerLooks(ring, look)
                        tally.equal(thrown, isLegal ? nil : fault, "head \(head), tail \(tail), used \(used)")
                        isSticky(isLegal ? nil : fault, ring, &tally)
                    }
                }
            }
            tally.check(ring.guardsAreIntact, "bytes outside the ring were written")
        }
        expectNone(tally)
    }

    @Test(arguments: Look.allCases) func everyTailThatAConsumerMaySee(_ look: Look) throws {
        var tally = Tally()
        for capacity in [2, 4, 8] {
            let ring = try RingFixture(capacity: capacity)
            for start in startIndices(capacity) {
                for seen in 0...capacity {
                    for tail in published(around: start, capacity) {
                        ring.begin(at: start)
                        _ = try ring.write([UInt8](repeating: 1, count: seen))
                        try seeTail(ring)
                        ring.memory.tail.storeRelaxed(tail)
                        // Legal: from what was seen last to one ring from the head.
                        let ahead = tail &- start
                        let isLegal = ahead >= UInt32(seen) && ahead <= UInt32(capacity)
                        let fault = RingError.peerIndex(
                            published: tail, lowest: start &+ UInt32(seen), highest: start &+ UInt32(capacity))
                        let thrown = consumerLooks(ring, look)
                        tally.equal(thrown, isLegal ? nil : fault, "tail \(tail), head \(start), seen \(seen)")
                        isSticky(isLegal ? nil : fault, ring, &tally)
                    }
                }
            }
            tally.check(ring.guardsAreIntact, "bytes outside the ring were written")
        }
        expectNone(tally)
    }

    /// The end shows the fault and gives no hold, though the peer's word is right again; a new connection does.
    private func isSticky(_ fault: RingError?, _ ring: RingFixture, _ tally: inout Tally) {
        ring.memory.head.storeRelaxed(ring.consumer.head)
        ring.memory.tail.storeRelaxed(ring.producer.tail)
        let shown = ring.producer.fault ?? ring.consumer.fault
        tally.equal(shown, fault, "the fault that the end shows")
        for _ in 0..<2 { tally.equal(holdBoth(ring), fault, "the fault that a hold throws") }
        let owners = (ring.producerControl.currentOwner, ring.consumerControl.currentOwner)
        tally.check(owners == (0, 0), "an end with a fault is held")
        guard fault != nil else { return }
        ring.begin(at: 3)
        tally.equal(holdBoth(ring), nil, "the fault outlived the connection")
    }

    private func holdBoth(_ ring: RingFixture) -> RingError? {
        do throws(RingError) {
            _ = try ring.producer.hold()
            _ = try ring.consumer.hold()
            return nil
        } catch { return error }
    }

    private func seeTail(_ ring: RingFixture) throws {
        var hold = try ring.consumer.hold()
        _ = try hold.readable()
    }

    private func producerLooks(_ ring: RingFixture, _ look: Look) -> RingError? {
        let more = [UInt8](repeating: 2, count: ring.producer.capacity + 1)
        let result = more.withUnsafeBytes { bytes -> Result<Void, RingError> in
            Result { () throws(RingError) in
                var hold = try ring.producer.hold()
                switch look {
                case .count: _ = try hold.writable()
                case .move, .copyOut: _ = try hold.write(bytes)
                case .inPlace: try hold.commit(try hold.reserve().count)
                case .wake: _ = try hold.requestWake(free: 1)
                }
            }
        }
        if case .failure(let error) = result { return error }
        return nil
    }

    private func consumerLooks(_ ring: RingFixture, _ look: Look) -> RingError? {
        var room = [UInt8](repeating: 0, count: ring.consumer.capacity + 1)
        let result = room.withUnsafeMutableBytes { bytes -> Result<Void, RingError> in
            Result { () throws(RingError) in
                var hold = try ring.consumer.hold()
                switch look {
                case .count: _ = try hold.readable()
                case .move: _ = try hold.read(into: bytes)
                case .copyOut: _ = try hold.copy(into: bytes)
                case .inPlace: try hold.consume(try hold.peek().count)
                case .wake: _ = try hold.requestWake()
                }
            }
        }
        if case .failure(let error) = result { return error }
        return nil
    }

    /// A peer that changes its word all the time: whatever is read, nothing outside the ring is touched, and
    /// no count exceeds what the ring holds.
    @Test func aWordThatNeverStandsStill() throws {
        let ring = try RingFixture(capacity: 8)
        let stop = SharedWord32(.allocate(byteCount: 8, alignment: 8))
        stop.storeRelaxed(0)
        let seed = TestRun.seed
        let ended = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            var random = SeededGenerator(seed)
            while stop.loadRelaxed() == 0 {
                let value = UInt32(truncatingIfNeeded: random.next() & 0x1F)
                ring.memory.tail.storeRelaxed(value)
                ring.memory.head.storeRelaxed(value &- 8)
            }
            ended.signal()
        }
        var tally = Tally()
        var faults = 0
        for _ in 0..<50_000 {
            ring.consumer.begin(at: 8)
            ring.producer.begin(at: 8)
            if consumerLooks(ring, .move) != nil { faults += 1 }
            if producerLooks(ring, .move) != nil { faults += 1 }
            tally.check(ring.consumer.head &- 8 <= 8, "read past a ring: \(ring.consumer.head)")
            tally.check(ring.producer.tail &- 8 <= 8, "wrote past a ring: \(ring.producer.tail)")
        }
        stop.storeRelaxed(1)
        ended.wait()
        tally.check(ring.guardsAreIntact, "bytes outside the ring were written")
        tally.check(faults > 0, "no fault was seen (seed \(seed))")
        expectNone(tally)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import TestSupport
import Testing

/// Wake indices: whoever sleeps is rung for, and nobody else.
@Suite struct WakeTests {
    @Test func crossedIsWhatItSays() {
        var tally = Tally()
        for base: UInt32 in [0, 1, 100, 0x7FFF_FFF8, 0x8000_0000, 0 &- 1, 0 &- 5, 0 &- 20] {
            for distance: UInt32 in 0...18 {
                let new = base &+ distance
                for offset in -20...40 {
                    let wake = base &+ UInt32(bitPattern: Int32(offset))
                    var walked = false
                    for step in 0..<distance where base &+ 1 &+ step == wake { walked = true }
                    tally.equal(crossed(wake, from: base, to: new), walked, "\(wake) from \(base) to \(new)")
                }
            }
        }
        expectNone(tally)
    }

    /// A consumer that found the ring empty is rung for by the first byte, and by that one alone.
    @Test func consumerIsWoken() throws {
        var tally = Tally()
        for capacity in [2, 4, 8, 16] {
            let ring = try RingFixture(capacity: capacity)
            for start in startIndices(capacity) {
                for before in 0...capacity {
                    for more in 0...capacity {
                        ring.begin(at: start)
                        _ = try ring.write([UInt8](repeating: 1, count: before))
                        var reader = try ring.consumer.hold()
                        tally.equal(try reader.requestWake(), before == 0, "sleep with \(before) bytes there")
                        tally.equal(ring.memory.consumerWake.loadRelaxed(), start &+ 1, "wake index at \(start)")
                        _ = reader.finish(peerPolls: false)
                        var writer = try ring.producer.hold()
                        let bytes = [UInt8](repeating: 1, count: more)
                        let put = try bytes.withUnsafeBytes { try writer.write($0) }
                        let rings = writer.finish(peerPolls: false)
                        // The bytes from before were never announced, so they are announced now.
                        tally.equal(rings, before + put > 0, "ring after \(before) + \(put) bytes at \(start)")
                        var again = try ring.producer.hold()
                        _ = try bytes.withUnsafeBytes { try again.write($0) }
                        if before + put > 0 { tally.check(!again.finish(peerPolls: false), "rang a second time") }
                    }
                }
            }
        }
        expectNone(tally)
    }

    /// A producer that waits for room is rung for when there is as much as it asked for, not earlier.
    @Test func producerIsWoken() throws {
        var tally = Tally()
        for capacity in [2, 4, 8, 16] {
            let ring = try RingFixture(capacity: capacity)
            for start in startIndices(capacity) {
                for used in 0...capacity {
                    for wanted in -1...(capacity + 2) {
                        try waitForRoom(ring, start, used, wanted, &tally)
                    }
                }
            }
        }
        expectNone(tally)
    }

    private func waitForRoom(
        _ ring: RingFixture, _ start: UInt32, _ used: Int, _ wanted: Int, _ tally: inout Tally
    ) throws {
        let capacity = ring.producer.capacity
        ring.begin(at: start)
        _ = try ring.write([UInt8](repeating: 1, count: used))
        var writer = try ring.producer.hold()
        let needed = max(1, min(wanted, capacity))
        let sleeps = try writer.requestWake(free: wanted)
        tally.equal(sleeps, capacity - used < needed, "sleep for \(wanted) with \(used) of \(capacity) used")
        _ = writer.finish(peerPolls: false)
        var rung = 0
        for taken in 1...max(1, used) where used > 0 {
            var reader = try ring.consumer.hold()
            try withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { _ = try reader.read(into: $0) }
            let rings = reader.finish(peerPolls: false)
            if rings { rung += 1 }
            if sleeps {
                tally.equal(
                    rings, capacity - used + taken == needed, "ring at \(taken) of \(used), \(wanted) wanted, \(start)")
            }
        }
        tally.equal(rung, sleeps ? 1 : 0, "rings for \(wanted) with \(used) of \(capacity) used at \(start)")
    }

    @Test func aPeerThatPollsIsNotRung() throws {
        var tally = Tally()
        let ring = try RingFixture(capacity: 8)
        var reader = try ring.consumer.hold()
        tally.check(try reader.requestWake(), "the ring is empty")
        tally.check(!reader.finish(peerPolls: true), "the consumer rang a peer that polls")
        var writer = try ring.producer.hold()
        tally.equal(try [1 as UInt8, 2].withUnsafeBytes { try writer.write($0) }, 2, "bytes written")
        tally.check(!writer.finish(peerPolls: true), "the producer rang a peer that polls")
        // It stopped polling and sleeps: the next look finds the crossing that nobody looked at.
        let next = try ring.producer.hold()
        tally.check(next.finish(peerPolls: false), "the crossing of an earlier batch was not seen")
        expectNone(tally)
    }

    /// 2^32 bytes while the peer polls, then it sleeps: the range to look at must not look empty.
    @Test(arguments: [0, 1, 5, 1 << 20]) func aPeerThatPolledForAWholeRoundIsRung(excess: Int) throws {
        var tally = Tally()
        let capacity = 1 << 20
        let ring = try RingFixture(capacity: capacity, start: 7)
        var left = (1 << 32) + excess - 4
        while left > 0 {
            let count = min(left, capacity)
            tally.check(!(try commit(ring, count, peerPolls: true)), "rang a peer that polls")
            tally.check(!(try consume(ring, count, peerPolls: true)), "rang a peer that polls")
            left -= count
        }
        var reader = try ring.consumer.hold()
        tally.check(try reader.requestWake(), "the ring is empty")
        _ = reader.finish(peerPolls: true)
        tally.check(try commit(ring, 4, peerPolls: false), "a lost wake-up of the consumer")
        // The same for the other direction: the producer sleeps for room after the consumer polled.
        _ = try commit(ring, capacity - 4, peerPolls: true)
        var writer = try ring.producer.hold()
        tally.check(try writer.requestWake(free: 4), "the ring is full")
        _ = writer.finish(peerPolls: true)
        tally.check(try consume(ring, 4, peerPolls: false), "a lost wake-up of the producer")
        expectNone(tally)
    }

    /// Moves an index without moving bytes.
    private func commit(_ ring: RingFixture, _ count: Int, peerPolls: Bool) throws -> Bool {
        var writer = try ring.producer.hold()
        _ = try writer.writable()
        try writer.commit(count)
        return writer.finish(peerPolls: peerPolls)
    }

    private func consume(_ ring: RingFixture, _ count: Int, peerPolls: Bool) throws -> Bool {
        var reader = try ring.consumer.hold()
        _ = try reader.readable()
        try reader.consume(count)
        return reader.finish(peerPolls: peerPolls)
    }
}

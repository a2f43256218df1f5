// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import TestSupport
import Testing

/// The end lock, its owner, and what a hold may ask for.
@Suite struct EndTests {
    private func thrown(_ body: () throws(RingError) -> Void) -> RingError? {
        do throws(RingError) {
            try body()
            return nil
        } catch { return error }
    }

    @Test func oneHoldAtATime() throws {
        let ring = try RingFixture(capacity: 4)
        func nested() throws(RingError) -> (RingError?, RingError?, UInt64, UInt64) {
            let writer = try ring.producer.hold()
            let reader = try ring.consumer.hold()
            let errors = (
                thrown { () throws(RingError) in _ = try ring.producer.hold() },
                thrown { () throws(RingError) in _ = try ring.consumer.hold() }
            )
            let owners = (ring.producerControl.currentOwner, ring.consumerControl.currentOwner)
            _ = writer.finish(peerPolls: false)
            _ = reader.finish(peerPolls: false)
            return (errors.0, errors.1, owners.0, owners.1)
        }
        for _ in 0..<2 { #expect(try nested() == (.busy(owner: 11), .busy(owner: 22), 11, 22)) }
        #expect(ring.producerControl.currentOwner == 0)
        #expect(ring.consumerControl.currentOwner == 0)
    }

    @Test func aHoldThatIsDroppedGivesTheEndBack() throws {
        let ring = try RingFixture(capacity: 4)
        for _ in 0..<3 {
            do { _ = try ring.producer.hold() }
            do { _ = try ring.consumer.hold() }
            #expect(ring.producerControl.currentOwner == 0)
            #expect(ring.consumerControl.currentOwner == 0)
        }
    }

    @Test func whoIsNotAttachedHoldsNothing() throws {
        let ring = try RingFixture(capacity: 4)
        ring.producerIdentity.pointee = 0
        ring.consumerIdentity.pointee = 0
        #expect(thrown { () throws(RingError) in _ = try ring.producer.hold() } == .detached)
        #expect(thrown { () throws(RingError) in _ = try ring.consumer.hold() } == .detached)
        #expect(thrown { () throws(RingError) in _ = try ring.producer.recover(from: 5) } == .detached)
        #expect(thrown { () throws(RingError) in _ = try ring.consumer.recover(from: 5) } == .detached)
        #expect(ring.producerControl.currentOwner == 0)
        #expect(ring.consumerControl.currentOwner == 0)
    }

    @Test func moreThanThereIs() throws {
        var tally = Tally()
        for capacity in [2, 4, 8, 16] {
            for start: UInt32 in [0, 0 &- 1, 0 &- UInt32(capacity)] {
                for used in 0...capacity {
                    let counts = [-capacity, -1, 0, 1, used, used + 1, capacity - used, capacity + 1, Int.max, Int.min]
                    for asked in counts {
                        let ring = try RingFixture(capacity: capacity, start: start)
                        _ = try ring.write([UInt8](repeating: 1, count: used))
                        let over = thrown { () throws(RingError) in
                            var hold = try ring.consumer.hold()
                            _ = try hold.peek()
                            try hold.consume(asked)
                        }
                        let fits = (0...used).contains(asked)
                        tally.equal(over, fits ? nil : .overrun(asked: asked, available: used), "consume")
                        tally.equal(ring.consumer.head, start &+ (fits ? UInt32(asked) : 0), "head")
                        let free = capacity - used + (fits ? asked : 0)
                        let under = thrown { () throws(RingError) in
                            var hold = try ring.producer.hold()
                            _ = try hold.reserve()
                            try hold.commit(asked)
                        }
                        let goes = (0...free).contains(asked)
                        tally.equal(under, goes ? nil : .overrun(asked: asked, available: free), "commit")
                        tally.equal(
                            ring.producer.tail, start &+ UInt32(used) &+ (goes ? UInt32(asked) : 0), "tail")
                        // The caller's mistake, not the peer's: no fault stays.
                        tally.check(ring.producer.fault == nil && ring.consumer.fault == nil, "a fault stays")
                    }
                }
            }
        }
        expectNone(tally)
    }

    @Test func recoveryWantsTheDeadOwnersName() throws {
        let ring = try RingFixture(capacity: 4)
        #expect(thrown { () throws(RingError) in _ = try ring.producer.recover(from: 5) } == .busy(owner: 0))
        #expect(thrown { () throws(RingError) in _ = try ring.consumer.recover(from: 5) } == .busy(owner: 0))
        let writer = try ring.producer.hold()
        let reader = try ring.consumer.hold()
        let wrong = thrown { () throws(RingError) in _ = try ring.producer.recover(from: 5) }
        let wrongToo = thrown { () throws(RingError) in _ = try ring.consumer.recover(from: 5) }
        #expect(wrong == .busy(owner: 11))
        #expect(wrongToo == .busy(owner: 22))
        _ = writer.finish(peerPolls: true)
        _ = reader.finish(peerPolls: true)
    }

    /// A producer's end goes on where it was; a consumer's is reset, because nobody knows what was used.
    @Test func recoveryFromADeadOwner() throws {
        let ring = try RingFixture(capacity: 8, start: 0 &- 2)
        #expect(try ring.write([1, 2, 3]) == 3)
        #expect(try ring.read(1) == [1])
        // The dead: somebody who took the end and never gave it back.
        ring.producerControl.seize(99)
        ring.consumerControl.seize(98)
        #expect(try ring.producer.recover(from: 99) == .resumed(index: 1))
        #expect(try ring.write([4]) == 1)
        #expect(try ring.consumer.recover(from: 98) == .reset(index: 0 &- 1))
        #expect(ring.consumer.fault == .consumerDied)
        for _ in 0..<2 {
            #expect(thrown { () throws(RingError) in _ = try ring.consumer.hold() } == .consumerDied)
        }
        #expect(ring.consumerControl.currentOwner == 0)
        ring.begin(at: ring.producer.tail)
        #expect(ring.consumer.fault == nil)
        #expect(try ring.write([5]) == 1)
        #expect(try ring.read(2) == [5])
    }

    /// A producer that died between its private index and the published one: the bytes are published.
    @Test func recoveryCompletesAPublication() throws {
        let ring = try RingFixture(capacity: 8)
        #expect(try ring.write([1, 2, 3]) == 3)
        ring.memory.tail.storeRelaxed(0)
        ring.producerControl.seize(99)
        #expect(try ring.producer.recover(from: 99) == .resumed(index: 3))
        #expect(try ring.read(8) == [1, 2, 3])
    }

    /// The helper has one thread, so it can fork as an application does.
    @Test func aChildInheritsNothing() throws {
        let (status, output) = try HelperProcess("RingPeer", ["fork"]).finish()
        #expect(status == 0, "\(output)")
        #expect(output.contains("fork: 0 of"), "\(output)")
    }
}

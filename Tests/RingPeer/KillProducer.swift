// SPDX-License-Identifier: Apache-2.0
import RingBuffer

extension KillTest {
    func performWrites() throws {
        var hold = try ends.producer.hold()
        var position = prefill
        for size in sizes {
            let source = pattern.at(position, size)
            if way == .copied {
                position += try hold.write(source)
            } else {
                let spans = try hold.reserve()
                let count = min(spans.count, size)
                for i in 0..<count {
                    if i < spans.first.count {
                        spans.first[i] = source[i]
                    } else {
                        spans.second[i - spans.first.count] = source[i]
                    }
                }
                try hold.commit(count)
                position += count
            }
        }
        _ = hold.finish(peerPolls: false)
    }

    /// The producer was killed after `n` instructions.
    func lookAtProducer(_ n: Int, _ dead: UInt64) throws {
        let allowed = positions(from: prefill, limit: capacity)
        let before = Int(ends.view.tail.loadAcquire() &- start)
        tally.check(allowed.contains(before), "\(n): tail at \(before), possible \(allowed)")
        // The peer does not wait for the recovery: every second time it reads first.
        let early = n & 1 == 0 ? 0 : before
        if early > 0 { tally.check(try readsRight(at: 0, early), "\(n): bytes before the recovery") }
        try recoverProducer(n, dead)
        let after = Int(ends.view.tail.loadAcquire() &- start)
        tally.check(allowed.contains(after) && after >= before, "\(n): tail at \(after) after \(before)")
        if area.stage.loadAcquire() == 0 { tally.equal(after, allowed[0], "\(n): tail before the hold") }
        if area.stage.loadAcquire() == 2 { tally.equal(after, allowed.last!, "\(n): tail after the hold") }
        tally.check(try readsRight(at: early, after - early), "\(n): bytes up to the tail")
        // The survivor's own bytes come directly behind: nothing lost, nothing twice.
        var position = after
        for count in [capacity, capacity - 1] {
            tally.equal(try write(pattern.at(position, count)), count, "\(n): the survivor's write")
            tally.check(try readsRight(at: position, count), "\(n): the survivor's bytes")
            position += count
        }
        tally.check(ends.producer.isDrained, "\(n): drained")
        wordsAgree(n)
        tally.check(ends.producer.fault == nil && ends.consumer.fault == nil, "\(n): a fault")
    }

    private func recoverProducer(_ n: Int, _ dead: UInt64) throws {
        do throws(RingError) {
            _ = try ends.producer.hold()
        } catch {
            tally.equal(error, .busy(owner: dead), "\(n): the producer end")
            let recovery = try ends.producer.recover(from: dead)
            tally.equal(recovery, .resumed(index: ends.view.tail.loadAcquire()), "\(n): the recovery")
            recovered += 1
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import RingBuffer

extension KillTest {
    func performReads() throws {
        var hold = try ends.consumer.hold()
        for size in sizes {
            if way == .copied {
                _ = try hold.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<size]))
            } else {
                let spans = try hold.peek()
                let count = min(spans.count, size)
                for i in 0..<count {
                    buffer[i] = i < spans.first.count ? spans.first[i] : spans.second[i - spans.first.count]
                }
                try hold.consume(count)
            }
        }
        _ = hold.finish(peerPolls: false)
    }

    /// The consumer was killed after `n` instructions.
    func lookAtConsumer(_ n: Int, _ dead: UInt64) throws {
        let allowed = positions(from: 0, limit: prefill)
        let before = Int(ends.view.head.loadAcquire() &- start)
        tally.check(allowed.contains(before), "\(n): head at \(before), possible \(allowed)")
        // The peer does not wait for the recovery: every second time it writes first, as much as it may.
        var written = prefill
        if n & 1 == 1 {
            written += try write(pattern.at(prefill, capacity))
            tally.equal(written, before + capacity, "\(n): what the peer could write")
        }
        let isReset = try recoverConsumer(n, dead)
        let after = Int(ends.view.head.loadAcquire() &- start)
        tally.check(allowed.contains(after) && after >= before, "\(n): head at \(after) after \(before)")
        if area.stage.loadAcquire() == 0 { tally.equal(after, allowed[0], "\(n): head before the hold") }
        if area.stage.loadAcquire() == 2 {
            tally.equal(after, allowed.last!, "\(n): head after the hold")
            tally.check(!isReset, "\(n): a stream was reset whose consumer had ended its hold")
        }
        wordsAgree(n)
        if isReset { return try restart(n) }
        // The end was free: the stream goes on exactly where the index says.
        tally.check(try readsRight(at: after, written - after), "\(n): bytes from the head on")
        tally.equal(try write(pattern.at(written, capacity)), capacity, "\(n): the peer's next write")
        tally.check(try readsRight(at: written, capacity), "\(n): the peer's next bytes")
        wordsAgree(n)
        tally.check(ends.producer.fault == nil && ends.consumer.fault == nil, "\(n): a fault")
    }

    /// - Returns: whether the stream was reset.
    private func recoverConsumer(_ n: Int, _ dead: UInt64) throws -> Bool {
        do throws(RingError) {
            _ = try ends.consumer.hold()
            return false
        } catch {
            tally.equal(error, .busy(owner: dead), "\(n): the consumer end")
        }
        let recovery = try ends.consumer.recover(from: dead)
        tally.equal(recovery, .reset(index: ends.view.head.loadAcquire()), "\(n): the recovery")
        recovered += 1
        for _ in 0..<2 {
            do throws(RingError) {
                _ = try ends.consumer.hold()
                tally.check(false, "\(n): a hold on a stream whose consumer died")
            } catch {
                tally.equal(error, .consumerDied, "\(n): the consumer end after the recovery")
            }
        }
        return true
    }

    /// A new connection on the same ring, its index where the old one ended: no old byte comes along.
    private func restart(_ n: Int) throws {
        let from = ends.producer.tail
        ends.consumer.begin(at: from)
        ends.producer.begin(at: from)
        tally.equal(try write(pattern.at(77, capacity)), capacity, "\(n): a write after the reset")
        tally.check(try readsRight(at: 77, capacity), "\(n): bytes after the reset")
        wordsAgree(n)
    }
}

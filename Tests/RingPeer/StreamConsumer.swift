// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import TestSupport

extension Stream {
    func consume() throws {
        let ring = try SharedRing(
            folder: try options.text("folder"), role: .consumer, capacity: capacity, copy: try options.copyMode())
        let identity = try IdentityPage(UInt64(getpid()))
        let end = ConsumerEnd(
            memory: ring.memory, control: ring.control, attachment: Attachment(identity: identity.word))
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * capacity, alignment: 64)
        var step = Step.moved
        while step != .ended {
            do {
                step = try consumeBatch(end, end.hold(), room)
            } catch RingError.busy {
                busy += 1
                step = .stuck
            }
            try rest(step)
        }
        report("consumed")
    }

    /// Some reads in one hold.
    private func consumeBatch(
        _ end: ConsumerEnd, _ given: consuming ConsumerHold, _ room: UnsafeMutableRawBufferPointer
    ) throws -> Step {
        var hold = given
        var position = Int(end.head &- start)
        var step = position == total ? Step.ended : .moved
        for _ in 0..<(1 + random.next() & 3) where step == .moved && position < total {
            let count = try consumeOnce(&hold, room, at: position)
            operations += 1
            position += count
            bytes += count
            if count == 0 { step = .stuck }
            linger()
        }
        if step == .stuck, bells != nil, try hold.requestWake() { step = .sleeps }
        if hold.finish(peerPolls: bells == nil) { bells?.ring() }
        return step
    }

    private func consumeOnce(
        _ hold: inout ConsumerHold, _ room: UnsafeMutableRawBufferPointer, at position: Int
    ) throws -> Int {
        let wanted = batch()
        if random.next() & 3 != 0 {
            let count = try hold.read(into: UnsafeMutableRawBufferPointer(rebasing: room[..<wanted]))
            try check(UnsafeRawBufferPointer(rebasing: room[..<count]), at: position)
            return count
        }
        let spans = try hold.peek()
        let straight = min(wanted, spans.first.count)
        let rest = min(wanted - straight, spans.second.count)
        try check(UnsafeRawBufferPointer(rebasing: spans.first[..<straight]), at: position)
        if rest > 0 {
            try check(UnsafeRawBufferPointer(rebasing: spans.second[..<rest]), at: position + straight)
        }
        try hold.consume(straight + rest)
        return straight + rest
    }

    private func check(_ got: UnsafeRawBufferPointer, at position: Int) throws {
        guard got.count > 0 else { return }
        guard position + got.count <= total else { throw Failure.wrongCount }
        let expected = pattern.at(position, got.count)
        guard memcmp(got.baseAddress!, expected.baseAddress!, got.count) == 0 else {
            throw Failure.wrongBytes(position: position, count: got.count)
        }
        digest.add(got, at: position)
    }
}

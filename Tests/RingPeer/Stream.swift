// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import TestSupport

/// One process's part of a long stream through a ring: it may be alone at its end or contend for it.
///
/// A byte's position in the stream follows from the ring's own index, which whoever holds the end reads. So
/// several processes can carry on one stream, and a byte that is lost, doubled or misplaced is seen.
final class Stream {
    enum Failure: Error { case wrongBytes(position: Int, count: Int), wrongCount, otherFailed }

    let options: Options
    let capacity: Int
    let start: UInt32
    let total: Int
    let pattern: Pattern
    let bells: Doorbells?
    /// Others hold this end too.
    let contends: Bool
    var random: SeededGenerator
    var digest = Digest()
    var operations = 0
    var bytes = 0
    var busy = 0
    private var rests = 0
    private let failedPath: String
    private let identity: IdentityPage

    init(_ options: Options, produces: Bool) throws {
        self.options = options
        failedPath = try options.text("folder") + "/failed"
        capacity = try options.number("capacity")
        start = UInt32(truncatingIfNeeded: try options.number("start"))
        total = try options.number("total")
        let seed = UInt64(try options.number("seed"))
        pattern = Pattern(seed: seed, longest: 2 * capacity)
        random = SeededGenerator(seed ^ UInt64(try options.number("number", or: 0)) << 32)
        bells = try Doorbells.Kind(rawValue: options.text("wait")).map {
            try Doorbells($0, folder: options.text("folder"), produces: produces)
        }
        contends = try options.number("contenders") > 1
        identity = try IdentityPage(UInt64(getpid()))
    }

    /// Lets the others run into this hold: on few processors they hardly ever would.
    func linger() {
        if contends, random.next() & 7 == 0 { sched_yield() }
    }

    /// Mostly short, sometimes more than a ring.
    func batch() -> Int {
        let word = random.next()
        switch word & 63 {
        case 0: return 1 + Int((word >> 8) % UInt64(2 * capacity))
        case 1: return 1 + Int((word >> 8) % UInt64(capacity))
        default: return 1 + Int((word >> 8) % UInt64(min(64, capacity)))
        }
    }

    func report(_ name: String) {
        print(
            "\(name) bytes=\(bytes) operations=\(operations) digest=\(digest.value) busy=\(busy)"
                + " sleeps=\(bells?.sleeps ?? 0) expired=\(bells?.expired ?? 0)")
    }

    // MARK: Producer

    func produce() throws {
        let ring = try SharedRing(
            folder: try options.text("folder"), role: .producer, capacity: capacity, copy: try options.copyMode())
        let end = ProducerEnd(
            memory: ring.memory, control: ring.control, attachment: Attachment(identity: identity.word))
        var step = Step.moved
        while step != .ended {
            do throws(RingError) {
                step = try produceBatch(end, end.hold())
            } catch {
                guard case .busy = error else { throw error }
                busy += 1
                step = .stuck
            }
            try rest(step)
        }
        report("produced")
    }

    enum Step { case moved, stuck, sleeps, ended }

    /// Some writes in one hold.
    private func produceBatch(_ end: ProducerEnd, _ given: consuming ProducerHold) throws(RingError) -> Step {
        var hold = given
        var position = Int(end.tail &- start)
        var step = position == total ? Step.ended : .moved
        for _ in 0..<(1 + random.next() & 3) where step == .moved && position < total {
            let wanted = min(batch(), total - position)
            let source = pattern.at(position, wanted)
            let count = random.next() & 3 == 0 ? try writeInPlace(&hold, source) : try hold.write(source)
            operations += 1
            digest.add(UnsafeRawBufferPointer(rebasing: source[..<count]), at: position)
            position += count
            bytes += count
            if count == 0 { step = .stuck }
            linger()
        }
        if step == .stuck, bells != nil {
            let free = min(1 + Int(random.next() % UInt64(capacity)), total - position)
            if try hold.requestWake(free: free) { step = .sleeps }
        }
        if hold.finish(peerPolls: bells == nil) { bells?.ring() }
        return step
    }

    private func writeInPlace(
        _ hold: inout ProducerHold, _ source: UnsafeRawBufferPointer
    ) throws(RingError) -> Int {
        let spans = try hold.reserve()
        let count = min(spans.count, source.count)
        let straight = min(count, spans.first.count)
        spans.first.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<straight]))
        if count > straight {
            spans.second.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[straight..<count]))
        }
        try hold.commit(count)
        return count
    }

    func rest(_ step: Step) throws {
        switch step {
        case .sleeps: bells?.sleep()
        case .stuck: sched_yield()
        case .moved, .ended: return
        }
        rests += 1
        if rests & 0xFFF == 0 || bells?.expired ?? 0 > 0, access(failedPath, F_OK) == 0 { throw Failure.otherFailed }
    }

    /// Runs one end's part; when it fails, the others are told, who would wait for bytes that never come.
    func failingTogether(_ body: () throws -> Void) throws {
        do { try body() } catch {
            close(cs_open(failedPath, O_CREAT | O_WRONLY, 0o600))
            throw error
        }
    }
}

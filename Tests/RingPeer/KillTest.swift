// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import RingBuffer
import TestSupport

/// Kills a child after each instruction of a hold in turn, and looks at what a survivor finds.
///
/// The child is stepped. After each instruction a copy of it is made, the child is killed, and this process,
/// attached to the same end, recovers it where needed and goes on. Then what is shared is put back as the
/// child left it, and the copy goes on from there: so N instructions cost N steps, not N squared.
final class KillTest {
    /// What the child does in its hold.
    enum Way: String { case copied, inPlace }
    enum Failure: Error { case notTraced, childEnded(after: Int) }

    let area: KillArea
    let ends: KillArea.Ends
    let capacity: Int
    let start: UInt32
    /// Bytes in the ring before the child comes.
    let prefill: Int
    /// The sizes of the child's writes or reads, all in one hold.
    let sizes: [Int]
    let way: Way
    let pattern: Pattern
    let buffer: UnsafeMutableRawBufferPointer
    var tally = Tally()
    var recovered = 0
    var within = 0

    init(_ options: Options) throws {
        area = try KillArea()
        capacity = try options.number("capacity")
        ends = try area.ends(capacity: capacity, copy: try options.copyMode())
        start = UInt32(truncatingIfNeeded: try options.number("start"))
        prefill = try options.number("prefill")
        sizes = try options.numbers("sizes")
        way = try Way(rawValue: options.text("way")) ?? .copied
        pattern = Pattern(seed: UInt64(try options.number("seed")), longest: 4 * capacity)
        buffer = .allocate(byteCount: 4 * capacity, alignment: 64)
    }

    static func run(_ options: Options) throws -> Int32 {
        let test = try KillTest(options)
        let victim: KillVictim = try options.text("end") == "producer" ? .producer : .consumer
        // Once in this process: the dynamic linker and the runtime do their first-time work here.
        try test.prepare()
        try test.perform(victim)
        let count = try test.killAtEach(victim)
        let tally = test.tally
        print(
            "killed at \(count) instructions, \(test.within) of them in the operation, \(test.recovered) recoveries, "
                + "\(tally.checks) checks, \(tally.failed) failed")
        for failure in tally.failures { print("  \(failure)") }
        // A test that never met the end held, or never met it free, has tested nothing.
        let bothSeen = test.recovered > 10 && test.recovered < test.within
        if !bothSeen { print("  \(test.recovered) recoveries in \(test.within) kills cannot be right") }
        return tally.failed == 0 && bothSeen ? 0 : 1
    }

    /// A ring that holds `prefill` bytes.
    func prepare() throws {
        area.begin(ends, at: start)
        _ = try write(pattern.at(0, prefill))
    }

    /// - Returns: the number of instructions that the child has executed when its work was done.
    private func killAtEach(_ victim: KillVictim) throws -> Int {
        try prepare()
        var child = ct_fork()
        if child == 0 { beVictim(victim) }
        let identity = UInt64(child)
        guard child > 0, ct_wait_for_stop(child) else { throw Failure.notTraced }
        var count = 0
        while area.stage.loadAcquire() < 2 {
            guard ct_step(child) else { throw Failure.childEnded(after: count) }
            count += 1
            if area.stage.loadAcquire() == 1 { within += 1 }
            let copy = ct_fork_stopped(child, area.identity.word, identity)
            guard copy > 0 else { throw Failure.notTraced }
            ct_kill(child)
            child = copy
            area.save()
            switch victim {
            case .producer: try lookAtProducer(count, identity)
            case .consumer: try lookAtConsumer(count, identity)
            }
            area.restore()
        }
        ct_kill(child)
        return count
    }

    private func beVictim(_ victim: KillVictim) -> Never {
        area.identity.word.pointee = UInt64(getpid())
        if ct_trace_me_and_stop() != 0 { ct_exit(2) }
        area.stage.storeRelease(1)
        do { try perform(victim) } catch { ct_exit(3) }
        area.stage.storeRelease(2)
        ct_exit(0)
    }

    func perform(_ victim: KillVictim) throws {
        switch victim {
        case .producer: try performWrites()
        case .consumer: try performReads()
        }
    }

    /// Where the index may stand: after each whole operation, and nowhere else.
    func positions(from first: Int, limit: Int) -> [Int] {
        var positions = [first]
        for size in sizes { positions.append(min(positions.last! + size, limit)) }
        return positions
    }

    // MARK: Small steps

    func write(_ bytes: UnsafeRawBufferPointer) throws -> Int {
        var hold = try ends.producer.hold()
        return try hold.write(bytes)
    }

    /// Reads all that is there; true when it is what the stream has at `position`.
    func readsRight(at position: Int, _ count: Int) throws -> Bool {
        var hold = try ends.consumer.hold()
        let got = try hold.read(into: buffer)
        guard got == count else { return false }
        return got == 0 || memcmp(buffer.baseAddress!, pattern.at(position, count).baseAddress!, count) == 0
    }

    /// The words as the other mapping shows them, and as the control blocks know them.
    func wordsAgree(_ n: Int) {
        let memory = ends.memory
        let view = ends.view
        tally.equal(view.tail.loadAcquire(), memory.tail.loadAcquire(), "\(n): tail on both sides")
        tally.equal(view.head.loadAcquire(), memory.head.loadAcquire(), "\(n): head on both sides")
        tally.equal(ends.producer.tail, memory.tail.loadAcquire(), "\(n): own and published tail")
        tally.equal(ends.consumer.head, memory.head.loadAcquire(), "\(n): own and published head")
        tally.equal(ends.producerControl.currentOwner, 0, "\(n): owner of the producer end")
        tally.equal(ends.consumerControl.currentOwner, 0, "\(n): owner of the consumer end")
    }
}

enum KillVictim { case producer, consumer }

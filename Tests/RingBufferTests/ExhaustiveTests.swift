// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import TestSupport
import Testing

/// Every (capacity, start index, count written, count read) of small rings, against an array.
@Suite struct ExhaustiveTests {
    /// How bytes get in and out.
    enum Way: CaseIterable { case copied, inPlace, copiedThenConsumed }

    @Test(arguments: CopyMode.all, Way.allCases)
    func everyCount(_ copy: CopyMode, _ way: Way) throws {
        var tally = Tally()
        for capacity in [2, 4, 8, 16] {
            let ring = try RingFixture(capacity: capacity, copy: copy)
            for start in startIndices(capacity) {
                for written in 0...(capacity + 2) {
                    for taken in 0...(capacity + 2) {
                        try play(ring, start, written, taken, way, &tally)
                    }
                }
            }
            tally.check(ring.guardsAreIntact, "bytes outside a ring of \(capacity) were written")
        }
        expectNone(tally)
        #expect(tally.checks > 100_000)
    }

    /// Writes, reads, writes as much again, reads all; looks at everything in between.
    private func play(
        _ ring: RingFixture, _ start: UInt32, _ written: Int, _ taken: Int, _ way: Way, _ tally: inout Tally
    ) throws {
        ring.begin(at: start)
        var model = Model(capacity: ring.producer.capacity, start: start)
        let steps = [(written, taken), (written, 0), (0, model.capacity + 1)]
        for (step, (into, out)) in steps.enumerated() {
            // Bytes that are never 0, and differ between steps and positions.
            let bytes = (0..<into).map { UInt8(truncatingIfNeeded: 1 + step * 83 + $0 * 7) | 1 }
            let accepted = try put(ring, bytes, way)
            tally.check(
                accepted == model.put(bytes) && ring.memory.tail.loadRelaxed() == model.tail,
                "\(way) write of \(into) in step \(step) at \(start), capacity \(model.capacity): \(accepted)")
            let got = try take(ring, out, way)
            tally.check(
                got == model.take(out) && ring.memory.head.loadRelaxed() == model.head,
                "\(way) read of \(out) in step \(step) at \(start), capacity \(model.capacity): \(got)")
        }
        tally.check(model.bytes.isEmpty && ring.producer.isDrained, "not drained at \(start)")
        tally.check(
            ring.producerControl.currentOwner == 0 && ring.consumerControl.currentOwner == 0, "an end is still held")
    }

    private func put(_ ring: RingFixture, _ bytes: [UInt8], _ way: Way) throws -> Int {
        if way != .inPlace { return try ring.write(bytes) }
        var hold = try ring.producer.hold()
        let spans = try hold.reserve()
        let count = min(spans.count, bytes.count)
        let straight = min(count, spans.first.count)
        spans.first.copyBytes(from: bytes[..<straight])
        spans.second.copyBytes(from: bytes[straight..<count])
        try hold.commit(count)
        return count
    }

    private func take(_ ring: RingFixture, _ count: Int, _ way: Way) throws -> [UInt8] {
        switch way {
        case .copied: return try ring.read(count)
        case .inPlace:
            var hold = try ring.consumer.hold()
            let spans = try hold.peek()
            let bytes = Array((Array(spans.first) + Array(spans.second)).prefix(count))
            try hold.consume(bytes.count)
            return bytes
        case .copiedThenConsumed:
            var hold = try ring.consumer.hold()
            var bytes = [UInt8](repeating: 0, count: count)
            var got = 0
            // Twice: a copy takes nothing away.
            for _ in 0..<2 { got = try bytes.withUnsafeMutableBytes { try hold.copy(into: $0) } }
            try hold.consume(got)
            return Array(bytes[..<got])
        }
    }

    /// What a ring is, without being one.
    private struct Model {
        let capacity: Int
        var bytes: [UInt8] = []
        var tail: UInt32
        var head: UInt32

        init(capacity: Int, start: UInt32) {
            self.capacity = capacity
            tail = start
            head = start
        }

        mutating func put(_ more: [UInt8]) -> Int {
            let accepted = more.prefix(capacity - bytes.count)
            bytes += accepted
            tail &+= UInt32(accepted.count)
            return accepted.count
        }

        mutating func take(_ count: Int) -> [UInt8] {
            let taken = Array(bytes.prefix(count))
            bytes.removeFirst(taken.count)
            head &+= UInt32(taken.count)
            return taken
        }
    }

    @Test func fullAndEmpty() throws {
        for capacity in [2, 4, 8, 16, 1024] {
            for start: UInt32 in [0, 1, 0 &- 1, 0 &- UInt32(capacity)] {
                let ring = try RingFixture(capacity: capacity, start: start)
                #expect(try ring.read(1) == [])
                #expect(try ring.write([UInt8](repeating: 5, count: capacity + 1)) == capacity)
                #expect(try ring.write([6]) == 0, "a full ring took a byte")
                #expect(try room(ring) == (0, 0, capacity))
                #expect(try ring.read(1) == [5])
                #expect(try ring.write([7, 7]) == 1, "one byte was free")
            }
        }
    }

    /// What each end finds: room, room in place, bytes.
    private func room(_ ring: RingFixture) throws -> (Int, Int, Int) {
        var writer = try ring.producer.hold()
        let room = (try writer.writable(), try writer.reserve().count)
        var reader = try ring.consumer.hold()
        return (room.0, room.1, try reader.readable())
    }

    @Test func nothingToCopy() throws {
        var tally = Tally()
        let ring = try RingFixture(capacity: 4)
        let nothing = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        var writer = try ring.producer.hold()
        tally.equal(try writer.write(UnsafeRawBufferPointer(nothing)), 0, "bytes written")
        try writer.commit(0)
        var reader = try ring.consumer.hold()
        tally.equal(try reader.read(into: nothing), 0, "bytes read")
        tally.equal(try reader.copy(into: nothing), 0, "bytes copied")
        try reader.consume(0)
        expectNone(tally)
    }

    @Test func capacities() {
        for capacity in [-1, 0, 1, 3, 5, 6, 12, 1000, (1 << 30) + 1, 1 << 31, 1 << 32] {
            #expect(throws: RingError.badCapacity(capacity)) { try RingFixture.memory(capacity: capacity) }
        }
        #expect(throws: Never.self) { try RingFixture.memory(capacity: 1 << 30) }
    }
}

extension RingFixture {
    /// Only the words: nothing is read or written.
    static func memory(capacity: Int) throws -> RingMemory {
        let somewhere = UnsafeMutableRawPointer(bitPattern: 4096)!
        return try RingMemory(
            tail: SharedWord32(somewhere), producerWake: SharedWord32(somewhere), head: SharedWord32(somewhere),
            consumerWake: SharedWord32(somewhere), data: somewhere, capacity: capacity, copy: .block)
    }
}

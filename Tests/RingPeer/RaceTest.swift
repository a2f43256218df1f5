// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import RingBuffer
import TestSupport

/// Two threads (or four: `contenders=2`) and one ring, bytes moved by scalar accesses: what ThreadSanitizer
/// can see. It reports a race unless every ordering edge of the ring is there.
enum RaceTest {
    static func run(_ options: Options) throws -> Int32 {
        let total = try options.number("total")
        let contenders = try options.number("contenders", or: 1)
        let area = try RaceArea(capacity: 64)
        let seed = UInt64(try options.number("seed"))
        let group = DispatchGroup()
        for number in 0..<contenders {
            start(group) { try area.produce(total, SeededGenerator(seed + UInt64(number))) }
            start(group) { try area.consume(total, SeededGenerator(seed + 100 + UInt64(number))) }
        }
        group.wait()
        let failed = area.failures.loadAcquire()
        print("race: \(total) bytes, \(contenders) threads an end, \(failed) failures")
        return failed == 0 ? 0 : 1
    }

    private static func start(_ group: DispatchGroup, _ body: @escaping @Sendable () throws -> Void) {
        group.enter()
        Thread.detachNewThread {
            do { try body() } catch {
                print("race: \(error)")
                exit(1)
            }
            group.leave()
        }
    }
}

/// The ring of a race, in private memory.
private final class RaceArea: @unchecked Sendable {
    let producer: ProducerEnd
    let consumer: ConsumerEnd
    let failures: SharedWord32

    init(capacity: Int) throws {
        let base = UnsafeMutableRawPointer.allocate(byteCount: 4096 + capacity, alignment: 4096)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: 4096 + capacity)
        let memory = try RingMemory(
            tail: SharedWord32(base), producerWake: SharedWord32(base + 128), head: SharedWord32(base + 256),
            consumerWake: SharedWord32(base + 384), data: base + 4096, capacity: capacity, copy: .scalars)
        let identity = (base + 512).assumingMemoryBound(to: UInt64.self)
        identity.pointee = 1
        let attachment = Attachment(identity: identity)
        producer = ProducerEnd(memory: memory, control: EndControl(base + 1024), attachment: attachment)
        consumer = ConsumerEnd(memory: memory, control: EndControl(base + 1152), attachment: attachment)
        failures = SharedWord32(base + 2048)
        consumer.begin(at: 0)
        producer.begin(at: 0)
    }

    private func byte(_ position: Int) -> UInt8 { UInt8(truncatingIfNeeded: position &* 0x9E37_79B9 >> 16) }

    func produce(_ total: Int, _ generator: SeededGenerator) throws {
        var random = generator
        var bytes = [UInt8](repeating: 0, count: 80)
        while true {
            do {
                var hold = try producer.hold()
                let position = Int(producer.tail)
                if position == total { return }
                let count = min(1 + Int(random.next() % 80), total - position)
                for i in 0..<count { bytes[i] = byte(position + i) }
                _ = try bytes[..<count].withUnsafeBytes { try hold.write($0) }
                _ = hold.finish(peerPolls: random.next() & 1 == 0)
            } catch RingError.busy {}
            sched_yield()
        }
    }

    func consume(_ total: Int, _ generator: SeededGenerator) throws {
        var random = generator
        var bytes = [UInt8](repeating: 0, count: 80)
        while true {
            do {
                var hold = try consumer.hold()
                let position = Int(consumer.head)
                if position == total { return }
                let wanted = 1 + Int(random.next() % 80)
                let count = try bytes[..<wanted].withUnsafeMutableBytes { try hold.read(into: $0) }
                for i in 0..<count where bytes[i] != byte(position + i) { failures.storeRelease(1) }
                _ = hold.finish(peerPolls: random.next() & 1 == 0)
            } catch RingError.busy {}
            sched_yield()
        }
    }
}

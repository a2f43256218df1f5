// SPDX-License-Identifier: Apache-2.0
//
// What mk/tests/instructions.sh counts instructions of: messages of 64 B into the ring and out of it, in one process,
// so that nobody waits and every run does the same. A run with twice as many messages has so many more instructions.
// usage: RingCount swift|c MESSAGES IN-A-ROW
import CRing
import CShim
import RingBuffer

/// Both variants' memory: a page of words, one of control blocks and identities, and the ring.
struct CountedMemory: ~Copyable {
    static let message = 64
    static let capacity = 64 << 10

    let base: UnsafeMutableRawPointer

    init() {
        base = .allocate(byteCount: 8192 + Self.capacity + Self.message, alignment: 4096)
        memset(base, 0, 8192 + Self.capacity + Self.message)
        (identities[0], identities[1]) = (1, 2)
    }

    deinit { base.deallocate() }

    var producer: UnsafeMutableRawPointer { base + 4096 }
    var consumer: UnsafeMutableRawPointer { base + 4096 + 512 }
    var identities: UnsafeMutablePointer<UInt64> { (base + 4096 + 2048).assumingMemoryBound(to: UInt64.self) }
    var data: UnsafeMutableRawPointer { base + 8192 }
    var message: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: data + Self.capacity, count: Self.message)
    }
}

@main
enum RingCount {
    static func main() {
        let words = CommandLine.arguments.dropFirst()
        guard words.count == 3, let variant = words.first, ["swift", "c"].contains(variant),
            let messages = words.dropFirst().first.flatMap({ UInt64($0) }),
            let row = words.last.flatMap({ UInt64($0) }),
            messages > 0, row > 0, row <= 1024, messages % row == 0
        else {
            print("usage: RingCount swift|c MESSAGES IN-A-ROW (a divisor of MESSAGES, at most 1024)")
            exit(64)
        }
        let memory = CountedMemory()
        var wrong: UInt64 = 1
        if variant == "swift" {
            do { wrong = try carry(memory, messages, row) } catch { print("the ring is broken: \(error)") }
        } else {
            wrong = cr_carry(
                memory.base, memory.producer, memory.consumer, memory.identities, memory.data, CountedMemory.capacity,
                memory.data + CountedMemory.capacity, CountedMemory.message, messages, row)
        }
        print("\(messages) messages, \(wrong) wrong")
        exit(wrong == 0 ? 0 : 1)
    }

    private static func carry(
        _ memory: borrowing CountedMemory, _ messages: UInt64, _ row: UInt64
    ) throws(RingError) -> UInt64 {
        let base = memory.base
        let ring = try RingMemory(
            tail: SharedWord32(base), producerWake: SharedWord32(base + 128), head: SharedWord32(base + Int(CR_HEAD)),
            consumerWake: SharedWord32(base + 384), data: memory.data, capacity: CountedMemory.capacity, copy: .block)
        let producer = ProducerEnd(
            memory: ring, control: EndControl(memory.producer),
            attachment: Attachment(identity: UnsafePointer(memory.identities)))
        let consumer = ConsumerEnd(
            memory: ring, control: EndControl(memory.consumer),
            attachment: Attachment(identity: UnsafePointer(memory.identities + 1)))
        producer.begin(at: 0)
        consumer.begin(at: 0)
        var wrong: UInt64 = 0
        var done: UInt64 = 0
        while done < messages {
            try produce(producer, memory.message, done, row)
            wrong &+= try consume(consumer, memory.message, done, row)
            done &+= row
        }
        return wrong
    }

    // Each apart, as their namesakes in Tests/CRing/ring.c, and with the same loop.
    @inline(never)
    private static func produce(
        _ end: ProducerEnd, _ message: UnsafeMutableRawBufferPointer, _ from: UInt64, _ count: UInt64
    ) throws(RingError) {
        var number = from
        while number < from &+ count {
            message.storeBytes(of: number, as: UInt64.self)
            var hold = try end.hold()
            // There always is room.
            _ = try hold.write(UnsafeRawBufferPointer(message))
            _ = hold.finish(peerPolls: true)
            number &+= 1
        }
    }

    @inline(never)
    private static func consume(
        _ end: ConsumerEnd, _ message: UnsafeMutableRawBufferPointer, _ from: UInt64, _ count: UInt64
    ) throws(RingError) -> UInt64 {
        var wrong: UInt64 = 0
        var number = from
        while number < from &+ count {
            var hold = try end.hold()
            let size = try hold.read(into: message)
            _ = hold.finish(peerPolls: true)
            if size != message.count || message.load(as: UInt64.self) != number { wrong &+= 1 }
            number &+= 1
        }
        return wrong
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

/// This project's ring: each process takes the lock of its end, for each message or for each batch.
final class RingCarrier: Carrier {
    let name: String
    let batch: Int
    private let capacity: Int
    private let isPaced: Bool

    /// - Parameters:
    ///   - batch: messages in one hold.  - capacity: bytes.
    ///   - isPaced: whether who finds nothing looks away for a while (`PollingPace`); else it looks again at once, as
    ///     the other queues' loops do.
    init(batch: Int = 1, capacity: Int = 256 << 10, isPaced: Bool = true) {
        (self.batch, self.capacity, self.isPaced) = (batch, capacity, isPaced)
        name = "ring" + (batch == 1 ? "" : ", \(batch) in one hold") + (isPaced ? "" : ", looking again at once")
    }

    func open(message: Int) throws -> CarrierChannel? {
        let ends = try RingEnds(capacity: max(capacity, 4 * message))
        return RingChannel(ends: ends, message: message, batch: batch, isPaced: isPaced)
    }
}

/// A ring in memory that two processes share, with the control block of each end.
final class RingEnds {
    let producer: ProducerEnd
    let consumer: ConsumerEnd
    private let area: SharedArea

    /// - Parameter capacity: bytes; a power of two.
    init(capacity: Int) throws {
        area = try SharedArea(2 * 4096 + capacity)
        let (words, own) = (area.base, area.base + 4096)
        // As in a section: words with different rhythms two lines apart.
        let memory = try RingMemory(
            tail: SharedWord32(words), producerWake: SharedWord32(words + 128), head: SharedWord32(words + 256),
            consumerWake: SharedWord32(words + 384), data: area.base + 8192, capacity: capacity, copy: .block)
        for (place, identity) in [1, 2].enumerated() {
            (own + 2048 + 128 * place).storeBytes(of: UInt64(identity), as: UInt64.self)
        }
        func attachment(_ place: Int) -> Attachment {
            let identity = UnsafeRawPointer(own + 2048 + 128 * place).assumingMemoryBound(to: UInt64.self)
            return Attachment(identity: identity)
        }
        producer = ProducerEnd(memory: memory, control: EndControl(own), attachment: attachment(0))
        consumer = ConsumerEnd(memory: memory, control: EndControl(own + 512), attachment: attachment(1))
        producer.begin(at: 0)
        consumer.begin(at: 0)
    }
}

private struct RingChannel: CarrierChannel {
    let ends: RingEnds
    let message: Int
    let batch: Int
    let isPaced: Bool

    func produce(count: Int) throws {
        let end = ends.producer
        let own = PrivateBytes(message * batch)
        var number = 0
        while number < count {
            let some = min(batch, count - number)
            for place in 0..<some {
                own.bytes.storeBytes(of: UInt64(number + place), toByteOffset: place * message, as: UInt64.self)
            }
            var done = 0
            while done < some * message {
                var hold = try end.hold()
                // The capacity is a multiple of the message: each fits whole, or not at all.
                let part = UnsafeRawBufferPointer(rebasing: own.bytes[done..<some * message])
                let now = try hold.write(part)
                _ = hold.finish(peerPolls: true)
                if now == 0 { cs_cpu_relax() }
                done += now
            }
            number += some
        }
    }

    func consume(count: Int) throws -> UInt64 {
        let end = ends.consumer
        let own = PrivateBytes(message * batch)
        var pace = PollingPace()
        var number = 0
        while number < count {
            var hold = try end.hold()
            let now = try hold.read(into: own.bytes)
            _ = hold.finish(peerPolls: true)
            if now == 0 { if isPaced { pace.empty() } else { cs_cpu_relax() } }
            var place = 0
            while place < now {
                if own.bytes.load(fromByteOffset: place, as: UInt64.self) != UInt64(number) { return 1 }
                number += 1
                place += message
                pace.found()
            }
        }
        return 0
    }

    func send(_ bytes: UnsafeRawBufferPointer) throws {
        while true {
            var hold = try ends.producer.hold()
            let count = try hold.write(bytes)
            _ = hold.finish(peerPolls: true)
            if count > 0 { return }
            cs_cpu_relax()
        }
    }

    func receive(_ bytes: UnsafeMutableRawBufferPointer) throws {
        while true {
            var hold = try ends.consumer.hold()
            let count = try hold.read(into: bytes)
            _ = hold.finish(peerPolls: true)
            if count > 0 { return }
            cs_cpu_relax()
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import Testing

@testable import RingTransport

/// One ring in plain memory with shared control blocks, and an identity of this process.
private final class OneRing {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    let identity: ProcessIdentity
    let producer: ProducerEnd
    let consumer: ConsumerEnd

    init() throws {
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
        identity = try ProcessIdentity.attach()
        let base = memory
        func word(_ offset: Int) -> SharedWord32 { SharedWord32(base + offset) }
        let ring = try RingMemory(
            tail: word(0), producerWake: word(128), head: word(256), consumerWake: word(384), data: base + 1024,
            capacity: 64, copy: .block)
        producer = ProducerEnd(memory: ring, control: EndControl(memory + 512), attachment: identity.attachment)
        consumer = ConsumerEnd(memory: ring, control: EndControl(memory + 640), attachment: identity.attachment)
    }

    deinit { memory.deallocate() }

    /// Makes `owner` hold the producer's or the consumer's end.
    func occupy(_ owner: UInt64, producer: Bool) { SharedWord64(memory + (producer ? 512 : 640)).storeRelease(owner) }
}

@Suite struct EndTakingTests {
    /// This process's number with another start time: a dead process whose number was used again.
    private var recycled: UInt64 { ProcessIdentity.word(pid: getpid(), start: 1) }

    @Test func aDeadProducerIsReplacedAndTheStreamGoesOn() throws {
        let ring = try OneRing()
        ring.occupy(recycled, producer: true)
        var recovered: Recovery?
        do {
            var hold = try ring.producer.take(&recovered)
            #expect(recovered == .resumed(index: 0))
            #expect(try [1, 2, 3].withUnsafeBytes { try hold.write($0) } == 24)
        }
        #expect(ring.producer.tail == 24)
    }

    @Test func aDeadConsumerResetsTheStream() throws {
        let ring = try OneRing()
        ring.occupy(recycled, producer: false)
        var recovered: Recovery?
        #expect(throws: RingError.consumerDied) { _ = try ring.consumer.take(&recovered).finish(peerPolls: true) }
        #expect(recovered == .reset(index: 0))
    }

    @Test func aLivingOwnerKeepsItsEnd() throws {
        let ring = try OneRing()
        let living = ring.identity.current
        ring.occupy(living, producer: true)
        var recovered: Recovery?
        #expect(throws: RingError.busy(owner: living)) {
            _ = try ring.producer.take(&recovered, looks: 2).finish(peerPolls: true)
        }
        #expect(recovered == nil)
    }
}

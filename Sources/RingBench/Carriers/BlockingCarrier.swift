// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim
import RingBuffer

/// The ring as the agents have it: who finds nothing publishes where it wants to be woken, and sleeps; who crosses that
/// rings. Nobody spins.
final class BlockingRing: Carrier {
    let sleeps = true
    let name = "ring, doorbell by eventfd"

    func open(message: Int) throws -> CarrierChannel? {
        let bell = cb_bell()
        guard bell >= 0 else { throw BenchError.system("make an eventfd", "raise the limit on open files") }
        return Channel(message: message, ends: try RingEnds(capacity: 64 << 10), bell: Descriptors([bell]))
    }

    private struct Channel: CarrierChannel {
        let message: Int
        let ends: RingEnds
        let bell: Descriptors

        func send(_ message: UnsafeRawBufferPointer) throws {
            while true {
                var hold = try ends.producer.hold()
                let count = try hold.write(message)
                let isToRing = hold.finish(peerPolls: false)
                if isToRing { try ring(bell.numbers[0]) }
                if count > 0 { return }
                // In a round trip there always is room.
                cs_cpu_relax()
            }
        }

        func receive(_ message: UnsafeMutableRawBufferPointer) throws {
            while true {
                var hold = try ends.consumer.hold()
                let count = try hold.read(into: message)
                let maySleep = count > 0 ? false : try hold.requestWake()
                _ = hold.finish(peerPolls: true)
                if count > 0 { return }
                if maySleep { try wait(bell.numbers[0]) }
            }
        }
    }
}

/// A bare eventfd each way: what waking costs by itself. There is room for one message: for round trips only.
final class EventPair: Carrier {
    let sleeps = true
    let name = "eventfd pair"

    func open(message: Int) throws -> CarrierChannel? {
        let bell = cb_bell()
        guard bell >= 0 else { throw BenchError.system("make an eventfd", "raise the limit on open files") }
        return Channel(message: message, bell: Descriptors([bell]), area: try SharedArea(message))
    }

    private struct Channel: CarrierChannel {
        let message: Int
        let bell: Descriptors
        let area: SharedArea

        func send(_ message: UnsafeRawBufferPointer) throws {
            guard let source = message.baseAddress else { return }
            memcpy(area.base, source, message.count)
            try ring(bell.numbers[0])
        }

        func receive(_ message: UnsafeMutableRawBufferPointer) throws {
            guard let target = message.baseAddress else { return }
            try wait(bell.numbers[0])
            memcpy(target, area.base, message.count)
        }
    }
}

/// A bare futex each way; as the eventfd.
final class FutexPair: Carrier {
    let sleeps = true
    let name = "futex pair"

    func open(message: Int) throws -> CarrierChannel? {
        Channel(message: message, area: try SharedArea(4096 + message))
    }

    private struct Channel: CarrierChannel {
        let message: Int
        let area: SharedArea

        private var word: SharedWord32 { SharedWord32(area.base) }

        func send(_ message: UnsafeRawBufferPointer) {
            guard let source = message.baseAddress else { return }
            memcpy(area.base + 4096, source, message.count)
            // Release: pairs with the acquire in receive: the message is there when the word says so.
            word.storeRelease(1)
            cb_futex_wake(area.base.assumingMemoryBound(to: UInt32.self))
        }

        func receive(_ message: UnsafeMutableRawBufferPointer) {
            guard let target = message.baseAddress else { return }
            while word.loadAcquire() == 0 { cb_futex_wait(area.base.assumingMemoryBound(to: UInt32.self), 0) }
            word.storeRelaxed(0)
            memcpy(target, area.base + 4096, message.count)
        }
    }
}

private func ring(_ bell: Int32) throws {
    var one: UInt64 = 1
    guard write(bell, &one, 8) == 8 else { throw BenchError.system("ring an eventfd", "try again") }
}

private func wait(_ bell: Int32) throws {
    var count: UInt64 = 0
    guard read(bell, &count, 8) == 8 else { throw BenchError.system("wait for an eventfd", "try again") }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

/// A ring with one lock for both ends, which lies in the shared memory, and both indices beside it: the obvious design,
/// as in the case study of seL4's developer kit. What a lock at each end gains is measured against it.
final class OneLockRing: Carrier {
    static let name = "one lock for both ends"
    var name: String { Self.name }
    private let capacity: Int

    /// - Parameter capacity: bytes.
    init(capacity: Int = 256 << 10) { self.capacity = capacity }

    func open(message: Int) throws -> CarrierChannel? {
        let size = max(capacity, 4 * message)
        return Channel(area: try SharedArea(4096 + size), message: message, slots: UInt64(size / message))
    }

    private struct Channel: CarrierChannel {
        let area: SharedArea
        let message: Int
        let slots: UInt64

        private var lock: SharedWord64 { SharedWord64(area.base) }
        private var head: SharedWord64 { SharedWord64(area.base + 8) }
        private var tail: SharedWord64 { SharedWord64(area.base + 16) }

        private func slot(_ index: UInt64) -> UnsafeMutableRawPointer {
            area.base + 4096 + Int(index & (slots - 1)) * message
        }

        /// `body` says whether there was room, or a message.
        @inline(__always) private func locked(_ body: () -> Bool) {
            while true {
                while lock.exchangeIfEqual(0, 1) != 0 { cs_cpu_relax() }
                let isDone = body()
                // Release: pairs with the acquire of exchangeIfEqual above, in the other process.
                lock.storeRelease(0)
                if isDone { return }
                cs_cpu_relax()
            }
        }

        func send(_ bytes: UnsafeRawBufferPointer) {
            guard let source = bytes.baseAddress else { return }
            locked {
                let index = tail.loadRelaxed()
                guard index - head.loadRelaxed() < slots else { return false }
                memcpy(slot(index), source, message)
                tail.storeRelaxed(index + 1)
                return true
            }
        }

        func receive(_ bytes: UnsafeMutableRawBufferPointer) {
            guard let target = bytes.baseAddress else { return }
            locked {
                let index = head.loadRelaxed()
                guard index != tail.loadRelaxed() else { return false }
                memcpy(target, slot(index), message)
                head.storeRelaxed(index + 1)
                return true
            }
        }
    }
}

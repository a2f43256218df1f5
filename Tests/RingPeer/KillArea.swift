// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import TestSupport

/// Both sections and both control blocks in one process and its children, with a read-only view of the
/// sections beside it: what the peer of each side sees.
final class KillArea {
    struct Ends {
        let memory: RingMemory
        /// The same words and bytes through the read-only mapping.
        let view: RingMemory
        let producer: ProducerEnd
        let consumer: ConsumerEnd
        let producerControl: EndControl
        let consumerControl: EndControl
        /// Longer than any ring, and not in any ring.
        let noise: UnsafeRawBufferPointer
    }

    static let section = SharedRing.sectionSize
    static let longestRing = 4096
    private let saved = UnsafeMutableRawPointer.allocate(
        byteCount: 2 * (SharedRing.dataOffset + longestRing) + 4096, alignment: 64)
    private let own: Mapping
    private let seen: Mapping
    let identity: IdentityPage
    /// How far a child is: 0 before, 1 in, 2 after its operation.
    let stage: SharedWord32

    init() throws {
        let size = 2 * Self.section + 4096
        let fd = cs_memfd("ringway-test")
        guard fd >= 0, ftruncate(fd, off_t(size)) == 0 else { throw SystemFailure("memfd") }
        defer { close(fd) }
        own = try Mapping(fd: fd, size: size)
        seen = try Mapping(fd: fd, size: size, writable: false)
        identity = try IdentityPage(UInt64(getpid()) | 0xA << 32)
        stage = SharedWord32(own.base + 2 * Self.section + 2048)
    }

    func ends(capacity: Int, copy: CopyMode) throws -> Ends {
        let memory = try SharedRing.memory(
            producer: own.base, consumer: own.base + Self.section, capacity: capacity, copy: copy)
        let view = try SharedRing.memory(
            producer: seen.base, consumer: seen.base + Self.section, capacity: capacity, copy: copy)
        let blocks = own.base + 2 * Self.section
        let attachment = Attachment(identity: identity.word)
        let producerControl = EndControl(blocks)
        let consumerControl = EndControl(blocks + 1024)
        let noise = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * capacity, alignment: 8)
        for i in 0..<noise.count { noise[i] = 0xEE }
        return Ends(
            memory: memory, view: view,
            producer: ProducerEnd(memory: memory, control: producerControl, attachment: attachment),
            consumer: ConsumerEnd(memory: memory, control: consumerControl, attachment: attachment),
            producerControl: producerControl, consumerControl: consumerControl, noise: UnsafeRawBufferPointer(noise))
    }

    /// Keeps what is shared, up to the end of the ring's bytes, for ``restore()``.
    func save() { copyShared { saved, shared, count in memcpy(saved, shared, count) } }

    func restore() { copyShared { saved, shared, count in memcpy(shared, saved, count) } }

    private func copyShared(
        _ copy: (UnsafeMutableRawPointer, UnsafeMutableRawPointer, Int) -> UnsafeMutableRawPointer?
    ) {
        let used = SharedRing.dataOffset + Self.longestRing
        _ = copy(saved, own.base, used)
        _ = copy(saved + used, own.base + Self.section, used)
        _ = copy(saved + 2 * used, own.base + 2 * Self.section, 4096)
    }

    /// A new connection, whatever a child left behind.
    func begin(_ ends: Ends, at start: UInt32) {
        SharedWord64(own.base + 2 * Self.section).storeRelaxed(0)
        SharedWord64(own.base + 2 * Self.section + 1024).storeRelaxed(0)
        memset(ends.memory.data, 0, Int(ends.memory.capacity))
        ends.consumer.begin(at: start)
        ends.producer.begin(at: start)
        stage.storeRelease(0)
    }
}

// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import RingBuffer

/// One ring with both its ends in private memory, the bytes between two guard zones.
final class RingFixture: @unchecked Sendable {
    static let guardSize = 64
    static let guardByte: UInt8 = 0xEE

    private let base: UnsafeMutableRawPointer
    let memory: RingMemory
    let producer: ProducerEnd
    let consumer: ConsumerEnd
    let producerControl: EndControl
    let consumerControl: EndControl
    /// The identity words; 0 is what a child sees after `fork`.
    let producerIdentity: UnsafeMutablePointer<UInt64>
    let consumerIdentity: UnsafeMutablePointer<UInt64>

    init(capacity: Int, start: UInt32 = 0, copy: CopyMode = .block) throws {
        let size = 1024 + 2 * Self.guardSize + capacity
        base = .allocate(byteCount: size, alignment: 4096)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        let data = base + 1024 + Self.guardSize
        (data - Self.guardSize).initializeMemory(
            as: UInt8.self, repeating: Self.guardByte, count: 2 * Self.guardSize + capacity)
        memory = try RingMemory(
            tail: SharedWord32(base), producerWake: SharedWord32(base + 128), head: SharedWord32(base + 256),
            consumerWake: SharedWord32(base + 384), data: data, capacity: capacity, copy: copy)
        producerControl = EndControl(base + 512)
        consumerControl = EndControl(base + 640)
        producerIdentity = (base + 768).assumingMemoryBound(to: UInt64.self)
        consumerIdentity = (base + 896).assumingMemoryBound(to: UInt64.self)
        producerIdentity.pointee = 11
        consumerIdentity.pointee = 22
        producer = ProducerEnd(
            memory: memory, control: producerControl, attachment: Attachment(identity: producerIdentity))
        consumer = ConsumerEnd(
            memory: memory, control: consumerControl, attachment: Attachment(identity: consumerIdentity))
        begin(at: start)
    }

    deinit { base.deallocate() }

    /// A new connection on both ends.
    func begin(at start: UInt32) {
        consumer.begin(at: start)
        producer.begin(at: start)
    }

    /// Whether nothing was written outside the ring's bytes.
    var guardsAreIntact: Bool {
        let before = UnsafeRawBufferPointer(start: memory.data - Self.guardSize, count: Self.guardSize)
        let after = UnsafeRawBufferPointer(start: memory.data + Int(memory.capacity), count: Self.guardSize)
        return before.allSatisfy { $0 == Self.guardByte } && after.allSatisfy { $0 == Self.guardByte }
    }

    func write(_ bytes: [UInt8]) throws -> Int {
        var hold = try producer.hold()
        return try bytes.withUnsafeBytes { try hold.write($0) }
    }

    func read(_ count: Int) throws -> [UInt8] {
        var hold = try consumer.hold()
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try bytes.withUnsafeMutableBytes { try hold.read(into: $0) }
        return Array(bytes[..<got])
    }
}

extension EndControl {
    /// Takes the end for an owner that will never be heard of again.
    func seize(_ identity: UInt64) { #expect(owner.exchangeIfEqual(0, identity) == 0) }
}

/// Start indices worth trying: each offset in a ring of this capacity, at zero, at the sign bit, and so that
/// the index passes 2^32 at each possible moment of two rounds.
func startIndices(_ capacity: Int) -> [UInt32] {
    let span = UInt32(capacity)
    return Array(0..<span) + [0x7FFF_FFFF, 0x8000_0000] + (1...(2 * span)).map { 0 &- $0 }
}

extension CopyMode {
    static let all: [CopyMode] = [.block, .alignedWords, .scalars]
}

/// Fails the test with the first failures of a tally.
func expectNone(_ tally: Tally, sourceLocation: SourceLocation = #_sourceLocation) {
    let failures = tally.failures.joined(separator: "\n")
    #expect(tally.failed == 0, "\(tally.failed) of \(tally.checks):\n\(failures)", sourceLocation: sourceLocation)
    #expect(tally.checks > 0, "nothing was checked", sourceLocation: sourceLocation)
}

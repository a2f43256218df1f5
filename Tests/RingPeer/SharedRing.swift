// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import TestSupport

/// A ring in three kinds of shared file, as between two guests: a section for each side, and for each end a
/// control block that only its own side maps.
final class SharedRing {
    enum Role { case producer, consumer }

    static let sectionSize = 2 * SectionLayout.pageSize + (1 << 20)
    static let dataOffset = 2 * SectionLayout.pageSize

    let memory: RingMemory
    let control: EndControl
    private let mappings: [Mapping]

    /// - Parameter folder: holds the files `producer` and `consumer` (sections), `producer-control` and
    ///   `consumer-control`, which whoever starts the processes has made.
    init(folder: String, role: Role, capacity: Int, copy: CopyMode) throws {
        let produces = role == .producer
        // Read-only where the peer writes: a store to the wrong section ends the process.
        let writer = try Mapping(path: "\(folder)/producer", size: Self.sectionSize, writable: produces)
        let reader = try Mapping(path: "\(folder)/consumer", size: Self.sectionSize, writable: !produces)
        let block = try Mapping(path: "\(folder)/\(produces ? "producer" : "consumer")-control", size: 4096)
        memory = try Self.memory(producer: writer.base, consumer: reader.base, capacity: capacity, copy: copy)
        control = EndControl(block.base)
        mappings = [writer, reader, block]
    }

    /// The words where channel 0 of a section has them, and a ring of any capacity.
    static func memory(
        producer: UnsafeMutableRawPointer, consumer: UnsafeMutableRawPointer, capacity: Int, copy: CopyMode
    ) throws -> RingMemory {
        let writes = producer + SectionLayout.channelPage(0)
        let reads = consumer + SectionLayout.channelPage(0)
        return try RingMemory(
            tail: SharedWord32(writes + SectionLayout.channelTail),
            producerWake: SharedWord32(writes + SectionLayout.channelProducerWake),
            head: SharedWord32(reads + SectionLayout.channelHead),
            consumerWake: SharedWord32(reads + SectionLayout.channelConsumerWake),
            data: producer + dataOffset, capacity: capacity, copy: copy)
    }
}

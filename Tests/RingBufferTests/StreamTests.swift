// SPDX-License-Identifier: Apache-2.0
import CShim
import TestSupport
import Testing

@testable import RingBuffer

/// Real processes, started as programs, on shared files: long streams, each byte checked, sums compared.
/// One after another, as each wants two processors.
@Suite(.serialized) struct StreamTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var copy = "block"
        var wait = "poll"
        var capacity = 4096
        var producers = 1
        var consumers = 1
        /// Bytes in the short form.
        var total: Int

        var testDescription: String {
            "\(producers) to \(consumers), \(copy), \(wait), ring of \(capacity), \(total) bytes"
        }
    }

    static let cases = [
        Case(total: 150_000_000),
        Case(copy: "words", capacity: 8192, total: 50_000_000),
        Case(capacity: 2, total: 200_000),
        Case(wait: "doorbell", total: 20_000_000),
        Case(wait: "doorbell", capacity: 64, total: 1_000_000),
        // Wakes without a system call: as many as can be, for the fences between index and wake index.
        Case(wait: "spin", capacity: 16, total: 10_000_000),
        Case(producers: 2, consumers: 2, total: 30_000_000),
        Case(capacity: 16, producers: 3, consumers: 3, total: 1_000_000),
    ]

    @Test(arguments: cases) func everyByteArrivesOnce(_ how: Case) throws {
        // Indices are compared as distances from the start, so a round stays below 2^32 bytes.
        let total = TestRun.isLong ? min(how.total * 20, 4_000_000_000) : how.total
        // The index passes 2^32 on the way.
        let start = UInt32(truncatingIfNeeded: -(total / 3))
        let folder = try ScratchFolder()
        let words = try StreamFiles(folder, capacity: how.capacity, start: start)
        let bells = [eventfd(0, 0), eventfd(0, 0)]
        defer { bells.forEach { close($0) } }

        func launch(_ mode: String, _ number: Int, _ descriptors: [Int32]) throws -> HelperProcess {
            try HelperProcess(
                "RingPeer",
                [
                    mode, "folder=\(folder.path)", "capacity=\(how.capacity)", "copy=\(how.copy)",
                    "wait=\(how.wait)", "start=\(start)", "total=\(total)", "seed=\(TestRun.seed)",
                    "number=\(number)", "contenders=\(max(how.producers, how.consumers))",
                ], descriptors: descriptors)
        }
        let writers = try (0..<how.producers).map { try launch("produce", $0, bells) }
        let readers = try (0..<how.consumers).map { try launch("consume", 100 + $0, bells.reversed()) }
        let produced = writers.map { Report($0.finish()) }
        let consumed = readers.map { Report($0.finish()) }

        for report in produced + consumed {
            print("\(how.testDescription), seed \(TestRun.seed): \(report.text)", terminator: "")
            #expect(report.status == 0, "\(report.text)")
            #expect(report["expired"] == 0, "a wake-up was lost: \(report.text)")
        }
        #expect(produced.sum("bytes") == UInt64(total))
        #expect(consumed.sum("bytes") == UInt64(total))
        #expect(produced.sum("digest") == consumed.sum("digest"))
        if how.producers > 1 {
            #expect(produced.sum("busy") > 0 && consumed.sum("busy") > 0, "nobody ever contended")
        }
        if how.wait != "poll" { #expect(consumed.sum("sleeps") > 0) }
        #expect(words.memory.tail.loadAcquire() == start &+ UInt32(total))
        #expect(words.memory.head.loadAcquire() == start &+ UInt32(total))
        #expect(words.producer.currentOwner == 0)
        #expect(words.consumer.currentOwner == 0)
        #expect(words.producer.fault == nil && words.consumer.fault == nil)
    }

    /// What a helper printed.
    struct Report {
        let status: Int32
        let text: String

        init(_ result: (status: Int32, output: String)) { (status, text) = result }

        subscript(_ name: String) -> UInt64? {
            for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) where word.hasPrefix(name + "=") {
                return UInt64(word.dropFirst(name.count + 1))
            }
            return nil
        }
    }
}

extension [StreamTests.Report] {
    func sum(_ name: String) -> UInt64 { reduce(0) { $0 &+ ($1[name] ?? 0) } }
}

/// The files of a ring between processes, and this process's view of them.
private final class StreamFiles {
    let memory: RingMemory
    let producer: EndControl
    let consumer: EndControl
    private let mappings: [Mapping]

    init(_ folder: ScratchFolder, capacity: Int, start: UInt32) throws {
        let page = SectionLayout.pageSize
        let size = 2 * page + (1 << 20)
        mappings = try ["producer", "consumer", "producer-control", "consumer-control"].map {
            try Mapping(path: "\(folder.path)/\($0)", size: $0.hasSuffix("control") ? page : size, create: true)
        }
        let (writes, reads) = (mappings[0].base + page, mappings[1].base + page)
        memory = try RingMemory(
            tail: SharedWord32(writes + SectionLayout.channelTail),
            producerWake: SharedWord32(writes + SectionLayout.channelProducerWake),
            head: SharedWord32(reads + SectionLayout.channelHead),
            consumerWake: SharedWord32(reads + SectionLayout.channelConsumerWake),
            data: mappings[0].base + 2 * page, capacity: capacity, copy: .block)
        producer = EndControl(mappings[2].base)
        consumer = EndControl(mappings[3].base)
        let identity = try IdentityPage(1)
        let attachment = Attachment(identity: identity.word)
        ConsumerEnd(memory: memory, control: consumer, attachment: attachment).begin(at: start)
        ProducerEnd(memory: memory, control: producer, attachment: attachment).begin(at: start)
    }
}

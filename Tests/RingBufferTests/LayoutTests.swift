// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import Testing

@Suite struct LayoutTests {
    /// A word: offset, size, and what it is written together with.
    private struct Word {
        let name: String
        let offset: Int
        let size: Int
        let rhythm: String
    }

    private let header = [
        Word(name: "magic", offset: SectionLayout.headerMagic, size: 8, rhythm: "start"),
        Word(name: "version", offset: SectionLayout.headerVersion, size: 4, rhythm: "start"),
        Word(name: "side", offset: SectionLayout.headerSide, size: 4, rhythm: "start"),
        Word(name: "channels", offset: SectionLayout.headerChannels, size: 4, rhythm: "start"),
        Word(name: "ring capacity", offset: SectionLayout.headerRingCapacity, size: 4, rhythm: "start"),
        Word(name: "opens a", offset: SectionLayout.headerOpensA, size: 4, rhythm: "start"),
        Word(name: "link word", offset: SectionLayout.headerLinkWord, size: 8, rhythm: "link"),
        Word(name: "heartbeat", offset: SectionLayout.headerHeartbeat, size: 8, rhythm: "heartbeat"),
        Word(name: "doorbell", offset: SectionLayout.headerDoorbell, size: 4, rhythm: "doorbell"),
        Word(name: "flags", offset: SectionLayout.headerFlags, size: 4, rhythm: "doorbell"),
    ]

    private let channel = [
        Word(name: "port", offset: SectionLayout.channelPort, size: 4, rhythm: "record"),
        Word(name: "start index", offset: SectionLayout.channelStartIndex, size: 4, rhythm: "record"),
        Word(name: "final index", offset: SectionLayout.channelFinalIndex, size: 4, rhythm: "record"),
        Word(name: "reason", offset: SectionLayout.channelReason, size: 4, rhythm: "record"),
        Word(name: "state", offset: SectionLayout.channelState, size: 8, rhythm: "record"),
        Word(name: "tail", offset: SectionLayout.channelTail, size: 4, rhythm: "tail"),
        Word(name: "head", offset: SectionLayout.channelHead, size: 4, rhythm: "head"),
        Word(name: "consumer wake", offset: SectionLayout.channelConsumerWake, size: 4, rhythm: "consumer wake"),
        Word(name: "producer wake", offset: SectionLayout.channelProducerWake, size: 4, rhythm: "producer wake"),
    ]

    @Test func wordsKeepTheirDistance() {
        for page in [header, channel] {
            for a in page {
                #expect(a.offset >= 0 && a.offset + a.size <= SectionLayout.pageSize, "\(a.name) leaves its page")
                #expect(a.offset % a.size == 0, "\(a.name) is not aligned")
                for b in page where a.name != b.name && a.offset <= b.offset {
                    #expect(a.offset + a.size <= b.offset, "\(a.name) and \(b.name) overlap")
                    if a.rhythm == b.rhythm { continue }
                    // Pages are aligned, so what counts is the aligned pair of cache lines that a word lies in.
                    #expect((a.offset + a.size - 1) / 128 < b.offset / 128, "\(a.name) and \(b.name) share a line")
                }
            }
        }
    }

    @Test func pagesAndRingsDoNotOverlap() throws {
        for channels in [1, 2, 3, 16, 256] {
            for ringCapacity in [4096, 65536, 1 << 20] {
                let geometry = try #require(
                    SectionGeometry(channels: channels, ringCapacity: ringCapacity, opensA: 0))
                var end = SectionLayout.pageSize
                for number in 0..<channels {
                    #expect(SectionLayout.channelPage(number) == end)
                    end += SectionLayout.pageSize
                }
                for number in 0..<channels {
                    let data = SectionLayout.ringData(number, geometry)
                    #expect(data == end)
                    // So that one channel's data can be mapped by itself.
                    #expect(data % SectionLayout.pageSize == 0)
                    end += ringCapacity
                }
                #expect(geometry.sectionSize == end)
            }
        }
    }

    @Test func geometryHasLimits() throws {
        func exists(_ channels: Int, _ ring: Int, _ opensA: Int) -> Bool {
            SectionGeometry(channels: channels, ringCapacity: ring, opensA: opensA) != nil
        }
        for channels in [-1, 0, 257, 1000, Int.max, Int.min] { #expect(!exists(channels, 4096, 0)) }
        for channels in [1, 256] { #expect(exists(channels, 4096, 0)) }
        let wrongRings = [-4096, 0, 1, 2048, 4095, 4097, 6144, (1 << 30) + 1, 1 << 31, 1 << 40, Int.max, Int.min]
        for ring in wrongRings { #expect(!exists(1, ring, 0)) }
        for shift in 12...30 { #expect(exists(1, 1 << shift, 0)) }
        for opensA in [-1, 17, Int.max, Int.min] { #expect(!exists(16, 4096, opensA)) }
        for opensA in 0...16 {
            let geometry = try #require(SectionGeometry(channels: 16, ringCapacity: 4096, opensA: opensA))
            #expect(Array(geometry.opens(.a)) + Array(geometry.opens(.b)) == Array(0..<16))
        }
        let largest = try #require(SectionGeometry(channels: 256, ringCapacity: 1 << 30, opensA: 0))
        #expect(largest.sectionSize == 257 * 4096 + 256 << 30)
    }

    /// The words of a ring stand where the layout says, each in the section of who writes it.
    @Test func wordsStandInTheirWritersSection() throws {
        let geometry = try #require(SectionGeometry(channels: 3, ringCapacity: 4096, opensA: 1))
        let size = geometry.sectionSize
        let base = UnsafeMutableRawPointer.allocate(byteCount: 2 * size, alignment: 4096)
        defer { base.deallocate() }
        base.initializeMemory(as: UInt8.self, repeating: 0, count: 2 * size)
        for number in 0..<3 {
            let memory = RingMemory(
                producer: base, consumer: base + size, channel: number, geometry: geometry, copy: .block)
            let words = [memory.tail, memory.producerWake, memory.head, memory.consumerWake]
            for (value, word) in words.enumerated() { word.storeRelaxed(UInt32(100 * number + value + 1)) }
            memory.data.storeBytes(of: UInt8(number + 1), as: UInt8.self)
        }
        func word(_ offset: Int) -> Int { Int(base.load(fromByteOffset: offset, as: UInt32.self)) }
        for number in 0..<3 {
            let page = 4096 * (number + 1)
            #expect(word(page + 0x80) == 100 * number + 1)
            #expect(word(page + 0x200) == 100 * number + 2)
            #expect(word(size + page + 0x100) == 100 * number + 3)
            #expect(word(size + page + 0x180) == 100 * number + 4)
            #expect(word(4096 * (4 + number)) == number + 1)
        }
        // Four words, and the data where it is not 0.
        #expect((0..<(2 * size / 4)).filter { word(4 * $0) != 0 }.count == 3 * 5)
    }

    @Test func magicSaysItsName() {
        #expect(withUnsafeBytes(of: SectionLayout.magic.littleEndian) { Array($0) } == Array("RINGWAY1".utf8))
    }
}

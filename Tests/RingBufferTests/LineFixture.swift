// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import TestSupport

/// Two lines in private memory, each with bytes before and behind that nobody may write, and an end at each.
final class LineFixture: @unchecked Sendable {
    private static let fill = [UInt8](repeating: 0xEE, count: 1024)
    private let base: UnsafeMutableRawPointer
    let lines: [UnsafeMutableRawPointer]
    var a: LineRecord
    var b: LineRecord

    init(start: UInt32 = 0, copy: CopyMode = .block) {
        base = .allocate(byteCount: 1024, alignment: 4096)
        base.initializeMemory(as: UInt8.self, from: Self.fill, count: 1024)
        lines = [base + 128, base + 512]
        lines.forEach { LineRecord.prepare($0, start: start) }
        a = LineRecord(own: lines[0], peer: lines[1], copy: copy, start: start)
        b = LineRecord(own: lines[1], peer: lines[0], copy: copy, start: start)
    }

    deinit { base.deallocate() }

    /// Whether nothing was written outside the lines.
    var guardsAreIntact: Bool {
        let (first, second, end) = (lines[0] + LineRecord.size, lines[1] + LineRecord.size, base + 1024)
        return [(base, lines[0]), (first, lines[1]), (second, end)].allSatisfy { start, end in
            memcmp(start, Self.fill, start.distance(to: end)) == 0
        }
    }

    /// The word of a line.
    func word(_ side: Int) -> SharedWord64 { SharedWord64(lines[side] + LineRecord.payload) }

    /// What a line's owner publishes.
    func publish(_ side: Int, record: UInt32, taken: UInt32) {
        word(side).storeRelease(UInt64(record) | UInt64(taken) << 32)
    }

    static func bytes(_ number: UInt32, _ count: Int = LineRecord.payload) -> [UInt8] {
        count == LineRecord.payload && number < records.count ? records[Int(number)] : make(Int(number), count)
    }

    private static func make(_ number: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: number &* 31 &+ $0 &* 7) }
    }
    private static let records = (0..<200).map { make($0, LineRecord.payload) }

    func send(_ side: Int, _ bytes: [UInt8]) -> Result<Bool, RingError> {
        bytes.withUnsafeBytes { bytes in
            Result { () throws(RingError) in side == 0 ? try a.send(bytes) : try b.send(bytes) }
        }
    }

    /// - Returns: the record, empty where there is none.
    func receive(_ side: Int, _ count: Int = LineRecord.payload) -> Result<[UInt8], RingError> {
        var room = [UInt8](repeating: 0, count: count)
        let result = room.withUnsafeMutableBytes { bytes in
            Result { () throws(RingError) in side == 0 ? try a.receive(into: bytes) : try b.receive(into: bytes) }
        }
        return result.map { $0 ? room : [] }
    }

    func acknowledge(_ side: Int) { if side == 0 { a.acknowledge() } else { b.acknowledge() } }

    func fault(_ side: Int) -> RingError? { side == 0 ? a.fault : b.fault }
}

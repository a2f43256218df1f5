// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import RingBuffer
import TestSupport

/// Records of one line between two processes (`record`) or two threads (`race-record`: by scalar accesses, which
/// ThreadSanitizer sees). Side a sends so many, side b answers every second one, and acknowledges the others.
enum RecordTest {
    enum Failure: Error { case wrongBytes(number: Int) }

    /// One side of it, over two files of which only its own can be written.
    static func run(_ options: Options) throws -> Int32 {
        let isAsking = try options.text("side") == "a"
        let folder = try options.text("folder")
        let a = try Mapping(path: "\(folder)/a", size: 4096, writable: isAsking)
        let b = try Mapping(path: "\(folder)/b", size: 4096, writable: !isAsking)
        let total = try options.number("total")
        let seed = UInt64(try options.number("seed"))
        let (own, peer) = isAsking ? (a, b) : (b, a)
        let end = LineRecord(
            own: own.base, peer: peer.base, copy: try options.copyMode(),
            start: UInt32(truncatingIfNeeded: try options.number("start")))
        let back = isAsking ? try ask(end, total, seed) : try answer(end, total, seed)
        print("record: \(total) records there, \(back) back")
        return 0
    }

    /// Both sides in one process.
    static func race(_ options: Options) throws -> Int32 {
        let total = try options.number("total")
        let seed = UInt64(try options.number("seed"))
        let lines = Lines()
        let ended = DispatchSemaphore(value: 0)
        start(ended) { _ = try ask(lines.end(0), total, seed) }
        start(ended) { _ = try answer(lines.end(1), total, seed) }
        ended.wait()
        ended.wait()
        print("race-record: \(total) records")
        return 0
    }

    private static func start(_ ended: DispatchSemaphore, _ body: @escaping @Sendable () throws -> Void) {
        Thread.detachNewThread {
            do { try body() } catch {
                print("race-record: \(error)")
                exit(1)
            }
            ended.signal()
        }
    }

    private static func ask(_ end: consuming LineRecord, _ total: Int, _ seed: UInt64) throws -> Int {
        var end = end
        var back = 0
        for number in 0..<total {
            let bytes = record(number, seed)
            while !(try bytes.withUnsafeBytes { try end.send($0) }) { sched_yield() }
            guard number & 1 == 1 else { continue }
            try take(&end, back, ~seed)
            back += 1
        }
        // So that the other side can send its last one: nothing follows here.
        end.acknowledge()
        return back
    }

    private static func answer(_ end: consuming LineRecord, _ total: Int, _ seed: UInt64) throws -> Int {
        var end = end
        var back = 0
        for number in 0..<total {
            try take(&end, number, seed)
            guard number & 1 == 1 else {
                end.acknowledge()
                continue
            }
            let bytes = record(back, ~seed)
            while !(try bytes.withUnsafeBytes { try end.send($0) }) { sched_yield() }
            back += 1
        }
        return back
    }

    private static func take(_ end: inout LineRecord, _ number: Int, _ seed: UInt64) throws {
        var got = [UInt8](repeating: 0, count: LineRecord.payload)
        while !(try got.withUnsafeMutableBytes { try end.receive(into: $0) }) { sched_yield() }
        guard got == record(number, seed) else { throw Failure.wrongBytes(number: number) }
    }

    private static func record(_ number: Int, _ seed: UInt64) -> [UInt8] {
        let word = (UInt64(number) &+ seed) &* 0x9E37_79B9_7F4A_7C15
        return (0..<LineRecord.payload).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0 & 7)) &+ UInt64($0)) }
    }

    /// Two lines in private memory.
    private final class Lines: @unchecked Sendable {
        private let base = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)

        init() { base.initializeMemory(as: UInt8.self, repeating: 0, count: 4096) }

        func end(_ side: Int) -> LineRecord {
            LineRecord(own: base + 1024 * side, peer: base + 1024 * (1 - side), copy: .scalars)
        }
    }
}

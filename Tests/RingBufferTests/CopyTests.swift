// SPDX-License-Identifier: Apache-2.0
import CShim
import TestSupport
import Testing

@testable import RingBuffer

/// The copies between private memory and a section: every alignment and length, byte for byte, and nothing
/// outside touched.
@Suite struct CopyTests {
    @Test(arguments: CopyMode.all) func everyAlignmentAndLength(_ copy: CopyMode) {
        var tally = Tally()
        let size = 128
        let source = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
        let target = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
        defer {
            source.deallocate()
            target.deallocate()
        }
        for i in 0..<size { source.storeBytes(of: UInt8(i + 1), toByteOffset: i, as: UInt8.self) }
        for from in 32..<40 {
            for to in 32..<40 {
                for count in 0...41 {
                    for outwards in [false, true] {
                        memset(target, 0, size)
                        if outwards {
                            RingCopy.load(target + to, source + from, count, copy)
                        } else {
                            RingCopy.store(target + to, source + from, count, copy)
                        }
                        let bytes = Array(UnsafeRawBufferPointer(start: target, count: size))
                        let expected = (0..<size).map { to..<(to + count) ~= $0 ? UInt8($0 - to + from + 1) : 0 }
                        tally.check(bytes == expected, "\(count) bytes from +\(from) to +\(to), outwards \(outwards)")
                    }
                }
            }
        }
        expectNone(tally)
    }

    /// Reads outside would fault: the bytes lie against a page that nobody may touch, on either side.
    @Test(arguments: CopyMode.all) func neverReadsOutside(_ copy: CopyMode) throws {
        let page = 4096
        let area = try #require(mmap(nil, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
        #expect(mprotect(area + page, page, PROT_READ | PROT_WRITE) == 0)
        defer { munmap(area, 3 * page) }
        var other = [UInt8](repeating: 1, count: 64)
        for count in 1...40 {
            for edge in [area + page, area + 2 * page - count] {
                other.withUnsafeMutableBytes { bytes in
                    for shift in 0..<8 {
                        RingCopy.store(edge, bytes.baseAddress! + shift, count, copy)
                        RingCopy.load(bytes.baseAddress! + shift, edge, count, copy)
                    }
                }
            }
        }
        #expect(other.allSatisfy { $0 == 1 })
    }
}

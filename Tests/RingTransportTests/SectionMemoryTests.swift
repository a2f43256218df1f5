// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import RingBuffer
import TestSupport
import Testing

@testable import RingTransport

@Suite struct SectionMemoryTests {
    @Test func aFileWholeAndInParts() throws {
        let pages = try Pages()
        let path = try pages.pages("section", 4)
        let whole = try pages.open("file:\(path)")
        #expect(whole.size == 4 * 4096)
        #expect((0..<4).map { whole.page($0) } == [0, 1, 2, 3])
        #expect(whole.memoryType == .cached)
        #expect(whole.description == "file:\(path)")
        let rest = try pages.open("file:\(path),offset=8K")
        #expect(rest.size == 8192)
        #expect(rest.page(0) == 2)
        let part = try pages.open("file:\(path),offset=4K,size=8K")
        #expect(part.size == 8192)
        #expect([part.page(0), part.page(1)] == [1, 2])
    }

    @Test func bothSidesSeeTheSameBytes() throws {
        let pages = try Pages()
        let path = try pages.pages("section", 2)
        let own = try pages.open("file:\(path),size=4K", writable: true)
        let peer = try pages.open("file:\(path),size=4K")
        #expect(own.writable && !peer.writable)
        SharedWord64(own.base + 64).storeRelease(0x1122_3344_5566_7788)
        #expect(SharedWord64(peer.base + 64).loadAcquire() == 0x1122_3344_5566_7788)
    }

    @Test func anUnmappedSectionIsGone() throws {
        let pages = try Pages()
        let path = try pages.pages("section", 2)
        do {
            let section = try pages.open("file:\(path)")
            #expect(try mappings(of: path).bytes == section.size)
        }
        #expect(try mappings(of: path).bytes == 0)
    }

    @Test(arguments: [
        "size=16K", "offset=4K,size=12K", "offset=12K", "offset=16K", "offset=16K,size=4K", "offset=1G",
        "offset=4611686018427383808,size=4611686018427383808",
    ])
    func whatDoesNotFitIsNamed(options: String) throws {
        let pages = try Pages()
        let path = try pages.pages("section", 3)
        let error = try pages.failure("file:\(path),\(options)")
        #expect(error.kind == .tooSmall)
        #expect(error.message.contains("12288 bytes"))
        #expect(error.message.contains(options))
    }

    @Test func anEmptyFileIsTooSmall() throws {
        let pages = try Pages()
        let path = try pages.text("section", "")
        #expect(try pages.failure("file:\(path)", writable: true).kind == .tooSmall)
    }

    @Test func whatIsNoFileIsNamed() throws {
        let pages = try Pages()
        let missing = try pages.failure("file:\(pages.path("none"))", writable: true)
        #expect(missing.kind == .noSuch)
        #expect(missing.message.contains(pages.path("none")))
        #expect(missing.message.contains("create it"))
        // A FIFO whose other end nobody has opened makes nobody wait.
        #expect(mkfifo(pages.path("fifo"), 0o600) == 0)
        for writable in [true, false] {
            for path in [pages.folder.path, pages.path("fifo")] {
                let error = try pages.failure("file:\(path)", writable: writable)
                #expect(error.kind == .badContent)
                #expect(error.message.contains("not a regular file"))
            }
        }
        #expect(try pages.failure("file:/dev/null").kind == .badContent)
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give up permissions here"))
    func withoutPermission() throws {
        let pages = try Pages()
        let path = try pages.pages("section", 1)
        chmod(pages.folder.path, 0o755)
        chmod(path, 0o444)
        let error = try asNobody { try pages.failure("file:\(path)", writable: true) }
        let refused = try #require(error)
        #expect(refused.kind == .notPermitted)
        #expect(refused.message.contains(path))
        // The peer's section needs no more than reading.
        let size = try asNobody { try pages.open("file:\(path)").size }
        #expect(size == 4096)
        chmod(path, 0o000)
        let unreadable = try asNobody { try pages.failure("file:\(path)") }
        #expect(unreadable?.kind == .notPermitted)
    }

    /// A file that is cut short under the mapping: the process goes on with zeros, and counts it once.
    @Test(arguments: [true, false])
    func truncation(writable: Bool) throws {
        let pages = try Pages()
        let path = try pages.pages("section", 4)
        let section = try pages.open("file:\(path)", writable: writable)
        let other = try pages.open("file:\(path),size=4K")
        #expect(section.faults == 0)
        #expect(truncate(path, 8192) == 0)
        #expect(section.page(1) == 1, "what is left of the file can still be read")
        #expect(section.faults == 0)
        if writable {
            SharedWord64(section.base + 3 * 4096).storeRelease(7)
            #expect(SharedWord64(section.base + 3 * 4096).loadAcquire() == 7)
        } else {
            #expect(SharedWord64(section.base + 3 * 4096).loadAcquire() == 0)
        }
        #expect(section.faults == 1)
        #expect(section.page(2) == 0)
        #expect(section.page(0) == 0)
        #expect(section.faults == 1, "the whole range was replaced at once")
        #expect(other.faults == 0)
    }

    @Test func whatIsSealedCannotBeTruncated() throws {
        let fd = cs_memfd("ringway-test")
        try #require(fd >= 0)
        defer { close(fd) }
        try #require(ftruncate(fd, 8192) == 0)
        let section = try Pages().open("file:/proc/self/fd/\(fd)", writable: true)
        #expect(section.size == 8192)
        #expect(ftruncate(fd, 0) == -1)
        #expect(section.faults == 0)
    }

    /// More sections come and go than can be watched at once: each gives its place back.
    @Test func watchedRangesAreGivenBack() throws {
        let pages = try Pages()
        let path = try pages.pages("section", 1)
        for _ in 0..<4 * Int(CS_WATCHED_RANGES) { _ = try pages.open("file:\(path)") }
        let kept = try (0..<4).map { _ in try pages.open("file:\(path)") }
        #expect(truncate(path, 0) == 0)
        #expect(kept[2].page(0) == 0)
        #expect(kept.map(\.faults) == [0, 0, 1, 0])
    }

    @Test func thePeersSectionCannotBeWritten() throws {
        let pages = try Pages()
        let path = try pages.pages("section", 2)
        let peer = try pages.open("file:\(path),offset=4K")
        #expect(try mappings(of: path).protections == ["r--s"])
        #expect(mprotect(peer.base, peer.size, PROT_READ | PROT_WRITE) == -1, "the descriptor was for reading only")
        let base = peer.base
        let read = try inChild { base.load(as: UInt8.self) == 1 ? 0 : 1 }
        #expect(read == 0)
        let written = try inChild {
            base.storeBytes(of: 9, as: UInt8.self)
            return 0
        }
        #expect(written == 128 + SIGSEGV)
        #expect(peer.page(0) == 1)
    }
}

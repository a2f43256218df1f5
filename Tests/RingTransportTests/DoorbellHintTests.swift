// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import TestSupport
import Testing

@testable import RingTransport

@Suite struct DoorbellHintTests {
    /// Two sides joined by two eventfds.
    private struct Pair {
        let a: Doorbell
        let b: Doorbell
        let toA: Int32
        let toB: Int32

        /// - Parameter flags: 0 gives descriptors that block, as a program that starts the agent may.
        init(flags: Int32 = 0) throws {
            toA = eventfd(0, flags)
            toB = eventfd(0, flags)
            guard toA >= 0, toB >= 0 else { throw SystemFailure("eventfd") }
            a = try Doorbell.open(.parse("eventfd:\(toA),\(toB)"))
            b = try Doorbell.open(.parse("eventfd:\(toB),\(toA)"))
        }

        func close() {
            CShim.close(toA)
            CShim.close(toB)
        }
    }

    private func isReadable(_ fd: Int32) -> Bool {
        var entry = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) == 1
    }

    @Test func eachSideWakesTheOther() throws {
        let pair = try Pair()
        defer { pair.close() }
        #expect(pair.a.name == "eventfd:\(pair.toA),\(pair.toB)")
        #expect(!isReadable(pair.a.descriptor) && !isReadable(pair.b.descriptor))
        pair.a.ring(peerIdentifier: 77)
        #expect(!isReadable(pair.a.descriptor) && isReadable(pair.b.descriptor))
        #expect(pair.b.drain() == 1)
        #expect(!isReadable(pair.b.descriptor))
        pair.b.ring(peerIdentifier: 0)
        #expect(pair.a.drain() == 1)
        #expect(pair.a.ownIdentifier == 0)
        #expect(cs_fcntl_int(pair.toA, F_GETFD, 0) == FD_CLOEXEC, "what the agent starts does not inherit it")
    }

    @Test func ringsMergeAndFalseOnesAreNone() throws {
        let pair = try Pair()
        defer { pair.close() }
        for _ in 0..<3 { pair.a.ring(peerIdentifier: 0) }
        #expect(pair.b.drain() == 3)
        #expect(pair.b.drain() == 0, "it does not wait, though the descriptor was handed over as blocking")
        #expect(pair.b.drain() == 0)
    }

    /// A counter that is full loses rings, and nobody waits for room.
    @Test func aFullCounterLosesRings() throws {
        let pair = try Pair()
        defer { pair.close() }
        var nearlyAll = UInt64.max - 1
        #expect(write(pair.toB, &nearlyAll, 8) == 8)
        for _ in 0..<3 { pair.a.ring(peerIdentifier: 0) }
        #expect(pair.b.drain() == UInt32.max)
        #expect(pair.b.drain() == 0)
        pair.a.ring(peerIdentifier: 0)
        #expect(pair.b.drain() == 1)
    }

    @Test func polling() throws {
        let none = try Doorbell.open(.none)
        #expect(none.descriptor == -1)
        #expect(none.name == "none")
        none.ring(peerIdentifier: 1)
        #expect(none.drain() == 0)
        #expect(none.ownIdentifier == 0)
    }

    @Test func descriptorsThatAreNotThere() throws {
        let good = eventfd(0, cs_efd_nonblock_cloexec())
        defer { close(good) }
        // Above every limit, so that no other test can open it meanwhile.
        let bad: Int32 = 1 << 30
        for (receive, send) in [(good, bad), (bad, good)] {
            let error = try #require(throws: TransportError.self) {
                try Doorbell.open(.parse("eventfd:\(receive),\(send)"))
            }
            #expect(error.kind == .noSuch)
            #expect(error.message.contains("\(bad)"))
            #expect(error.message.contains("eventfd"))
        }
    }

    /// Whatever else has that number would be read and written as a counter.
    @Test func descriptorsOfAnotherKind() throws {
        let good = eventfd(0, cs_efd_nonblock_cloexec())
        let memory = cs_memfd("ringway-test")
        defer {
            close(good)
            close(memory)
        }
        for (receive, send) in [(good, memory), (memory, good)] {
            let error = try #require(throws: TransportError.self) {
                try Doorbell.open(.parse("eventfd:\(receive),\(send)"))
            }
            #expect(error.kind == .badContent)
            #expect(error.message.contains("ringway-test"))
        }
    }

    /// A regular file as the UIO device: it has a register page and takes the word that unmasks. It cannot show
    /// that a read waits for an interrupt, that an interrupt is masked until the word is written, that a
    /// device has none (its write fails), or that a store rings anybody.
    private func makeUIO() throws -> Pages {
        let pages = try Pages()
        try pages.text("sys/class/uio/uio0/name", "ringway\n")
        try pages.text("sys/class/uio/uio0/maps/map0/name", "ivshmem\n")
        try pages.text("sys/class/uio/uio0/maps/map1/name", "memory\n")
        try pages.pages("dev/uio0", 2)
        return pages
    }

    private func open(_ pages: Pages) throws -> Doorbell {
        try Doorbell.open(.parse("uio:ringway"), sysfsRoot: pages.path("sys"), deviceRoot: pages.path("dev"))
    }

    @Test func theRegistersOfUIO() throws {
        let pages = try makeUIO()
        let file = try Mapping(path: pages.path("dev/uio0"), size: 8192)
        SharedWord32(file.base + 8).storeRelaxed(0xABCD)
        let doorbell = try open(pages)
        #expect(doorbell.name == "uio:ringway")
        #expect(doorbell.descriptor >= 0)
        #expect(SharedWord32(file.base).loadRelaxed() == 1, "the interrupt is unmasked at the start")
        #expect(doorbell.ownIdentifier == 0xABCD)
        SharedWord32(file.base + 8).storeRelaxed(5)
        #expect(doorbell.ownIdentifier == 5, "a device that was plugged again has another")
        doorbell.ring(peerIdentifier: 3)
        #expect(SharedWord32(file.base + 12).loadRelaxed() == 3 << 16)
        doorbell.ring(peerIdentifier: 0xFFFF_FFFF)
        #expect(SharedWord32(file.base + 12).loadRelaxed() == 0xFFFF_0000, "vector 0, whatever the peer's header says")
    }

    @Test func aDrainReadsOneWordAndUnmasks() throws {
        let pages = try makeUIO()
        let file = try Mapping(path: pages.path("dev/uio0"), size: 8192)
        let doorbell = try open(pages)
        let position = lseek(doorbell.descriptor, 0, Int32(SEEK_CUR))
        #expect(doorbell.drain() == 1)
        #expect(lseek(doorbell.descriptor, 0, Int32(SEEK_CUR)) == position + 8)
        #expect(SharedWord32(file.base + Int(position) + 4).loadRelaxed() == 1)
        lseek(doorbell.descriptor, 0, Int32(SEEK_END))
        #expect(doorbell.drain() == 0, "nothing to read is a false wake-up")
    }

    @Test func theRegistersAreUnmappedAndTheDeviceClosed() throws {
        let pages = try makeUIO()
        var descriptor: Int32 = -1
        do {
            let doorbell = try open(pages)
            descriptor = doorbell.descriptor
            #expect(try mappings(of: pages.path("dev/uio0")).bytes == 4096)
        }
        #expect(try mappings(of: pages.path("dev/uio0")).bytes == 0)
        #expect(descriptor >= 0)
    }

    @Test func devicesThatCannotBeDoorbells() throws {
        let pages = try Pages()
        let missing = try #require(throws: TransportError.self) { try open(pages) }
        #expect(missing.kind == .noSuch)
        try pages.text("sys/class/uio/uio0/name", "ringway\n")
        try pages.text("sys/class/uio/uio0/maps/map0/name", "registers\n")
        let other = try #require(throws: TransportError.self) { try open(pages) }
        #expect(other.kind == .badContent && other.message.contains("generic-uio:"), "no store into what is not known")
        try pages.text("sys/class/uio/uio0/maps/map0/name", "ivshmem\n")
        let node = try #require(throws: TransportError.self) { try open(pages) }
        #expect(node.kind == .noSuch)
        #expect(node.message.contains("doorbell uio:ringway"))
        // A device without a register page: mmap refuses.
        try pages.text("dev/other", "")
        #expect(mkfifo(pages.path("dev/uio0"), 0o600) == 0)
        let page = try #require(throws: TransportError.self) { try open(pages) }
        #expect(page.message.contains("mapping the doorbell page"))
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

/// The control blocks of all ends of one link: guest-local memory in a sealed memfd, so that it can be
/// handed to other processes of this guest and never lies in a section.
public final class EndControls {
    public let descriptor: Int32
    let base: UnsafeMutableRawPointer
    let size: Int

    private init(descriptor: Int32, base: UnsafeMutableRawPointer, size: Int) {
        self.descriptor = descriptor
        self.base = base
        self.size = size
    }

    deinit {
        munmap(base, size)
        close(descriptor)
    }

    /// Blocks for the two ends of each channel, all free.
    public static func create(channels: Int) throws(TransportError) -> EndControls {
        let size = (channels * 2 * EndControl.size + 4095) & ~4095
        let fd = cs_memfd("ringway-ends")
        guard fd >= 0 else { throw .system(.io, "creating the ring ends' control memory", cs_errno()) }
        guard ftruncate(fd, off_t(size)) == 0, cs_seal_size(fd) == 0 else {
            let error = cs_errno()
            close(fd)
            throw .system(.io, "sizing the ring ends' control memory to \(size) bytes", error)
        }
        let base = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
        guard let base, base != cs_map_failed() else {
            let error = cs_errno()
            close(fd)
            throw .system(.io, "mapping the ring ends' control memory", error)
        }
        return EndControls(descriptor: fd, base: base, size: size)
    }

    /// The producer's block of a channel; the consumer's follows it.
    public func block(_ channel: Int) -> UnsafeMutableRawPointer { base + channel * 2 * EndControl.size }
}

/// What a program in direct mode and the agent share of one connection: a page of its own, so that nothing of another
/// connection is in it.
public final class DirectGrant {
    private let controls: EndControls
    public var descriptor: Int32 { controls.descriptor }
    public var page: DirectPage { DirectPage(controls.base) }
    /// See `Channel.share`.
    var number: UInt32 = 0
    private var isAlone = false

    public init?() {
        do throws(TransportError) { controls = try EndControls.create(channels: 1) } catch { return nil }
    }

    /// Whether no process has the page mapped any more: who had one of the ends is dead, or another program by now. A
    /// file that is mapped to be written cannot be sealed against that (memfd_create(2)).
    public func isAbandoned() -> Bool {
        if isAlone { return true }
        munmap(controls.base, controls.size)
        isAlone = cs_seal_writes(descriptor) == 0
        // What stands there is this process's alone then; or a program has sealed it against being mapped again.
        var kind = isAlone ? MAP_PRIVATE : MAP_SHARED
        while mmap(controls.base, controls.size, PROT_READ | PROT_WRITE, kind | MAP_FIXED, descriptor, 0)
            == cs_map_failed()
        { kind = MAP_PRIVATE }
        return isAlone
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

/// The control blocks of all ends of one link: guest-local memory in a sealed memfd, so that it can be
/// handed to other processes of this guest and never lies in a section.
public final class EndControls {
    public private(set) var descriptor: Int32
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
            throw .system(.io, "sizing the ring ends' control memory", error)
        }
        let base = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
        guard let base, base != cs_map_failed() else {
            let error = cs_errno()
            close(fd)
            throw .system(.io, "mapping the ring ends' control memory", error)
        }
        return EndControls(descriptor: fd, base: base, size: size)
    }

    /// Nobody else is to be handed it.
    func closeDescriptor() {
        close(descriptor)
        descriptor = -1
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
    /// The stream by which the program has asked. It keeps its end of it as long as it has the page mapped, and wakes
    /// the agent by a byte.
    public let holder: Int32
    /// See `Channel.share`.
    var number: UInt32 = 0

    /// - Parameter holder: is closed with this object; not where there is none.
    public init?(holder: Int32) {
        do throws(TransportError) { controls = try EndControls.create(channels: 1) } catch { return nil }
        self.holder = holder
    }

    deinit { close(holder) }

    /// The program has the descriptor.
    public func wasSent() { controls.closeDescriptor() }

    /// Whether no process uses the page any more: who had one of the ends is dead, or another program by now. The
    /// kernel closes the stream when the last process that has it ends or executes another program.
    public func isAbandoned() -> Bool {
        var look = pollfd(fd: holder, events: 0, revents: 0)
        return poll(&look, 1, 0) > 0
    }
}

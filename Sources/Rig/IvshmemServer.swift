// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import Synchronization

/// The doorbell server of QEMU's `ivshmem-doorbell` device (docs/specs/ivshmem-spec in QEMU's source).
///
/// It hands every VM that connects the shared memory, an id that no VM had before, and the eventfds of all
/// others; from then on VMs interrupt each other without it. The memory is an unlinked file of RAM: it is gone
/// with its last user, however that ends.
public final class IvshmemServer: Sendable {
    /// Where VMs connect.
    public let path: String
    private let connected = Mutex<[UInt16]>([])
    private let stopSignal: Int32
    private let ended = DispatchSemaphore(value: 0)

    /// The ids of the VMs that are connected now.
    public var peers: [UInt16] { connected.withLock { $0 } }

    /// Serves a region of `size` bytes at the socket `path`, with one eventfd a VM and vector.
    public init(path: String, size: Int, vectors: Int = 1) throws {
        self.path = path
        stopSignal = eventfd(0, cs_efd_nonblock_cloexec())
        let memory = try Self.region(size: size)
        let listener = try UnixSocket.listen(at: path)
        let loop = Loop(listener: listener, memory: memory, vectors: vectors)
        Thread.detachNewThread { [self] in
            while loop.serve(orStopAt: stopSignal) { connected.withLock { $0 = loop.ids } }
            loop.close()
            ended.signal()
        }
    }

    /// Disconnects every VM, which goes on with the memory and the eventfds that it has.
    public func stop() {
        eventfd_write(stopSignal, 1)
        ended.wait()
        ended.signal()
        unlink(path)
    }

    deinit { close(stopSignal) }

    private static func region(size: Int) throws -> Int32 {
        let descriptor = cs_memfd("ringway-region")
        guard descriptor >= 0, ftruncate(descriptor, size) == 0 else {
            throw RigError(
                tried: "make a shared region of \(size) bytes", happened: String(cString: strerror(errno)),
                remedy: "free some memory")
        }
        return descriptor
    }
}

/// What the server's thread alone touches.
private final class Loop: @unchecked Sendable {
    private struct Peer {
        let id: UInt16
        let socket: UnixSocket
        let events: [Int32]
    }

    private let listener: UnixSocket
    private let memory: Int32
    private let vectors: Int
    private var peers: [Peer] = []
    private var nextID: UInt16 = 0

    init(listener: UnixSocket, memory: Int32, vectors: Int) {
        self.listener = listener
        self.memory = memory
        self.vectors = vectors
    }

    var ids: [UInt16] { peers.map(\.id) }

    /// Waits for one round of events and serves it; false when told to stop.
    func serve(orStopAt stop: Int32) -> Bool {
        var entries = ([stop, listener.descriptor] + peers.map(\.socket.descriptor)).map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        guard poll(&entries, nfds_t(entries.count), -1) > 0 else { return errno == EINTR }
        if entries[0].revents != 0 { return false }
        // VMs say nothing to the server: what can be read is their end.
        let gone = zip(peers, entries.dropFirst(2)).filter { $1.revents != 0 && $0.socket.receive()?.isEmpty == true }
        remove(Set(gone.map(\.0.id)))
        if entries[1].revents != 0, let socket = listener.accept() { add(socket) }
        return true
    }

    func close() {
        peers.forEach(closeEvents)
        peers = []
        Foundation.close(memory)
    }

    private func add(_ socket: UnixSocket) {
        // An id is never used twice: a VM that was restarted must not get what was rung for the one before it.
        guard nextID < .max else { return }
        let peer = Peer(
            id: nextID, socket: socket, events: (0..<vectors).map { _ in eventfd(0, cs_efd_nonblock_cloexec()) })
        nextID += 1
        let version = message(0)
        var welcomed = socket.send(version) && socket.send(message(Int64(peer.id)))
        welcomed = welcomed && socket.send(message(-1), attaching: memory)
        for other in peers { welcomed = welcomed && announce(other, to: socket) }
        // A VM takes the first id with eventfds that is its own as the end of its set-up: so that comes last.
        guard welcomed, announce(peer, to: socket) else { return closeEvents(peer) }
        let lost = peers.filter { !announce(peer, to: $0.socket) }
        peers.append(peer)
        remove(Set(lost.map(\.id)))
    }

    private func announce(_ peer: Peer, to socket: UnixSocket) -> Bool {
        peer.events.allSatisfy { socket.send(message(Int64(peer.id)), attaching: $0) }
    }

    private func remove(_ ids: Set<UInt16>) {
        guard !ids.isEmpty else { return }
        peers.filter { ids.contains($0.id) }.forEach(closeEvents)
        peers.removeAll { ids.contains($0.id) }
        var lost: Set<UInt16> = []
        for id in ids {
            for peer in peers where !peer.socket.send(message(Int64(id))) { lost.insert(peer.id) }
        }
        remove(lost)
    }

    private func closeEvents(_ peer: Peer) { peer.events.forEach { Foundation.close($0) } }

    private func message(_ value: Int64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
}

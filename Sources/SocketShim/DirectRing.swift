// SPDX-License-Identifier: Apache-2.0
import CSocketShim
import CShim
import RingBuffer

/// One of this process's connections in direct mode: its bytes go from the program into the ring and out of it, without
/// the agent.
///
/// The socket stays the other way, and the agent moves what goes there. Which way is right at a moment is decided in a
/// hold, by the counts in the page (``DirectPage``): the ring is used only while nothing is under way by the socket.
/// Nothing in a hold waits, or can be cancelled.
private struct DirectRing {
    /// What came of one look.
    enum Look {
        case moved(Int)
        /// Nothing can be moved now, or another thread is at it.
        case nothing
        /// The socket is the way.
        case socket
    }

    let direct: UnsafeMutablePointer<shim_direct>

    @inline(__always) private var page: DirectPage { DirectPage(direct.pointee.page.unsafelyUnwrapped) }
    @inline(__always) private var own: UnsafeMutableRawPointer { direct.pointee.own.unsafelyUnwrapped }
    @inline(__always) private var peer: UnsafeMutableRawPointer { direct.pointee.peer.unsafelyUnwrapped }
    @inline(__always) private var peerPolls: Bool { direct.pointee.peer_polls != 0 }
    @inline(__always) private var attachment: Attachment {
        Attachment(identity: shim_identity().unsafelyUnwrapped)
    }

    @inline(__always) private func memory(
        _ writes: UnsafeMutableRawPointer, _ reads: UnsafeMutableRawPointer, _ data: UnsafeMutableRawPointer?
    ) throws(RingError) -> RingMemory {
        try RingMemory(
            tail: SharedWord32(writes + SectionLayout.channelTail),
            producerWake: SharedWord32(writes + SectionLayout.channelProducerWake),
            head: SharedWord32(reads + SectionLayout.channelHead),
            consumerWake: SharedWord32(reads + SectionLayout.channelConsumerWake), data: data.unsafelyUnwrapped,
            capacity: Int(direct.pointee.capacity), copy: .block)
    }

    @inline(__always) private func producer() throws(RingError) -> ProducerEnd {
        ProducerEnd(
            memory: try memory(own, peer, direct.pointee.out), control: page.producer, attachment: attachment)
    }

    @inline(__always) private func consumer() throws(RingError) -> ConsumerEnd {
        ConsumerEnd(memory: try memory(peer, own, direct.pointee.in), control: page.consumer, attachment: attachment)
    }

    /// Whether the connection is there, as the agent sees it, and as an agent that has taken the section over since
    /// would. In a hold.
    /// - Parameter last: the last state of this side in which the end may be used.
    @inline(__always) private func isAlive(upTo last: UInt32) -> Bool {
        // Full fence: pairs with the one in Channel.takeBack. (x86 has made one when it took the end.)
        #if !arch(x86_64)
        fullFence()
        #endif
        let record = SharedWord64(own + SectionLayout.channelState).loadAcquire()
        let state = UInt32(truncatingIfNeeded: record)
        let number = SharedWord32(own + SectionLayout.channelGrant).loadRelaxed()
        return page.isOpen.loadAcquire() == 1 && number == direct.pointee.number
            && state >= Self.accepted && state <= last
    }

    // ChannelState: ACCEPTED, ESTABLISHED and FINISHED follow each other.
    static var accepted: UInt32 { 2 }
    static var established: UInt32 { 3 }
    static var finished: UInt32 { 4 }

    /// Nothing is under way by the socket, that way.
    @inline(__always) private var isOutwardClear: Bool {
        // Acquire: pairs with the storeRelease in Connection.pumpOutward: those bytes are in the ring.
        page.pumped.loadAcquire() == shim_count(&direct.pointee.sent)
    }

    @inline(__always) private var isInwardClear: Bool {
        page.delivered.loadAcquire() == shim_count(&direct.pointee.taken)
    }

    private func what(_ error: RingError) -> Look {
        if case .busy = error { return .nothing }
        return .socket
    }

    func send(_ bytes: UnsafeRawBufferPointer) -> Look {
        do throws(RingError) {
            var hold = try producer().hold()
            guard isAlive(upTo: Self.established) else { return .socket }
            // What went by the socket is soon in the ring.
            guard isOutwardClear else { return .nothing }
            let count = try hold.write(bytes)
            if hold.finish(peerPolls: peerPolls) { shim_direct_kick(direct) }
            return count > 0 ? .moved(count) : .nothing
        } catch {
            return what(error)
        }
    }

    func receive(into bytes: UnsafeMutableRawBufferPointer) -> Look {
        do throws(RingError) {
            var hold = try consumer().hold()
            guard isInwardClear, isAlive(upTo: Self.finished), direct.pointee.is_unread == 0 else { return .socket }
            let count = try hold.read(into: bytes)
            if hold.finish(peerPolls: peerPolls) { shim_direct_kick(direct) }
            return count > 0 ? .moved(count) : .nothing
        } catch {
            return what(error)
        }
    }

    @inline(__always) var hasBytes: Bool {
        SharedWord32(peer + SectionLayout.channelTail).loadRelaxed() != page.consumer.position
    }

    /// Whether another look at the ring may bring something, by what stands in memory only.
    @inline(__always) var mayReceive: Bool { hasBytes || !isInwardClear }

    @inline(__always) var maySend: Bool {
        page.producer.position &- SharedWord32(peer + SectionLayout.channelHead).loadRelaxed()
            < direct.pointee.capacity && isOutwardClear
    }

    @inline(__always) var isOpen: Bool { page.isOpen.loadRelaxed() == 1 }

    func attend(_ isAttended: Bool) {
        let value: UInt32 = isAttended ? 1 : 0
        if page.isAttended.loadRelaxed() != value { page.isAttended.storeRelease(value) }
    }

    /// Leaves what comes to the agent, which is woken for it.
    /// - Returns: false when something has come meanwhile that can be had here.
    func rest() -> Bool {
        attend(false)
        // Full fence: whoever sees the wake index sees that nobody attends. Pairs with the doorbell behind it.
        fullFence()
        do throws(RingError) {
            var hold = try consumer().hold()
            guard isInwardClear, isAlive(upTo: Self.finished) else {
                shim_direct_kick(direct)
                return true
            }
            return try hold.requestWake()
        } catch {
            // Another thread is at it, or the agent, which looks again behind that.
            shim_direct_kick(direct)
            return true
        }
    }

    /// The agent is to see that all of it has been read.
    var isEnding: Bool { page.isEnding.loadRelaxed() == 1 }
}

/// How long a call waits for the peer before it asks the kernel: at first with pauses of the processor only.
private struct Patience {
    private let limit = Int64(shim_settings().pointee.spin_microseconds)
    private var start: Int64 = 0
    private var turns: UInt32 = 0

    /// - Returns: false when it is over.
    @inline(__always) mutating func lasts() -> Bool {
        cs_cpu_relax()
        turns &+= 1
        return turns & 63 != 0 || looksAtClock()
    }

    @inline(never) private mutating func looksAtClock() -> Bool {
        let now = raw_monotonic_microseconds()
        if start == 0 { start = now }
        guard now - start < limit else { return false }
        // Whoever is waited for may need this processor.
        if turns > 1024 { raw_yield() }
        return true
    }
}

@c(shim_ring_send)
func ringSend(
    _ fd: Int32, _ direct: UnsafeMutablePointer<shim_direct>, _ bytes: UnsafeRawPointer, _ count: Int, _ waits: Int32
) -> Int {
    let ring = DirectRing(direct: direct)
    var patience = Patience()
    var done = 0
    while true {
        switch ring.send(UnsafeRawBufferPointer(start: bytes + done, count: count - done)) {
        case .socket: return done
        case .nothing: if waits == 0 { return done }
        case .moved(let moved):
            done += moved
            if done == count || waits == 0 { return done }
            patience = Patience()
        }
        repeat {
            guard patience.lasts(), shim_direct_is_current(fd, direct) != 0, ring.isOpen else { return done }
        } while !ring.maySend
    }
}

@c(shim_ring_receive)
func ringReceive(
    _ fd: Int32, _ direct: UnsafeMutablePointer<shim_direct>, _ bytes: UnsafeMutableRawPointer, _ count: Int,
    _ waits: Int32
) -> Int {
    // Where another thread waits in the kernel, what comes has to come there.
    guard direct.pointee.is_unread == 0, direct.pointee.waiting == 0 else { return 0 }
    let ring = DirectRing(direct: direct)
    ring.attend(true)
    defer {
        // Another thread may have said so before this one came to attend.
        if direct.pointee.is_unread != 0 {
            ring.attend(false)
            shim_direct_kick(direct)
        }
    }
    var patience = Patience()
    while true {
        switch ring.receive(into: UnsafeMutableRawBufferPointer(start: bytes, count: count)) {
        case .socket: return 0
        case .moved(let moved): return moved
        case .nothing: if waits == 0 { return 0 }
        }
        repeat {
            guard patience.lasts(), shim_direct_is_current(fd, direct) != 0, direct.pointee.is_unread == 0, ring.isOpen
            else { return 0 }
        } while !ring.mayReceive
    }
}

@c(shim_ring_has_bytes)
func ringHasBytes(_ direct: UnsafePointer<shim_direct>) -> Int32 {
    let ring = DirectRing(direct: UnsafeMutablePointer(mutating: direct))
    return ring.hasBytes && ring.isOpen ? 1 : 0
}

/// Before the kernel is asked for bytes: the agent is to move them, and to see an end that all has been read up to.
/// - Returns: 0 when something has come meanwhile.
@c(shim_ring_rest)
func ringRest(_ direct: UnsafeMutablePointer<shim_direct>) -> Int32 {
    let ring = DirectRing(direct: direct)
    guard ring.rest() else { return 0 }
    if ring.isEnding { shim_direct_kick(direct) }
    return 1
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import RingTransport
import USBIP

/// Why a connection ended early.
enum ConnectionEnd: Error, Equatable {
    /// The local program, or the local kernel, is gone.
    case local(errno: Int32)
    /// The peer's ring cannot be trusted any more.
    case ring(RingError)
    /// The guard refused what went that way.
    case refused(GuardDirection)
}

/// A channel's local half: a stream socket, and what is known of its readiness.
///
/// Bytes go from the socket straight into the ring and from the ring straight into the socket: one copy
/// each way, made by the kernel. On memory that is not cached they take a bounce buffer, because the
/// kernel's copy is free to make accesses that such memory does not allow. What the guard has to look at, a PDU's
/// header most of all, is copied to private memory, judged there, and goes on from there; so is what comes with it, up
/// to `GuardedStream.size`.
final class Connection {
    let channel: Channel
    let socket: Int32
    /// The slot of the program that waits for the peer's answer, if this side opened.
    var client: Int?
    /// nil when the bytes are no USB/IP, or nobody is to look at them.
    let rules: Guard?
    private let inward: GuardedStream?
    let outward: GuardedStream?
    /// Bytes that went from one to the other.
    private(set) var bytesIn: UInt64 = 0
    private(set) var bytesOut: UInt64 = 0
    /// The socket may have something to read, or room: edges seen and not yet used up.
    var readable = true
    var writable = true
    /// The other end of the socket is gone, or says no more: an end is behind what can be read.
    var hasEnd = false
    /// The other end of the socket is gone, and so is whoever had it.
    var isGone = false
    /// Nothing has been read from the socket yet.
    var isFresh = true
    /// What the socket's first bytes turned out to be: an error.
    var failure: Int32 = 0
    /// A program in direct mode was using an end that was to be used.
    var isContended = false
    /// Where its reader was at the last heartbeat.
    var sweptHead: UInt32 = 0
    /// The local program will send no more.
    var localFinished = false
    /// The socket was told that the peer will send no more.
    var toldFinished = false
    /// Ticks left for the peer to answer.
    var patience: UInt32 = 0
    /// Heartbeats for which a request, and for which an unlink, has had no answer.
    var unansweredTicks = 0
    var unlinkTicks = 0
    /// The guard's number for what has come back, at the last heartbeat.
    var answers: UInt32 = 0
    /// For which some unlink has had none, though others had, and the guard's number for those.
    var openUnlinkTicks = 0
    var unlinkWatch: UInt32 = 0

    init(channel: Channel, socket: Int32, _ rules: Guard? = nil) {
        self.channel = channel
        self.socket = socket
        self.rules = rules
        inward = rules.map { GuardedStream($0, .inward) }
        outward = rules.map { GuardedStream($0, .outward) }
    }

    /// Socket to ring: fewer bytes than two rings hold.
    /// - Returns: bytes moved, and whether the doorbell is to be rung.
    func pumpOutward(
        peerPolls: Bool, bounce: UnsafeMutableRawBufferPointer
    ) throws(ConnectionEnd) -> (moved: Int, ring: Bool) {
        // Held bytes go on when an answer has come, and the socket has no part in that, nor in what the guard says.
        guard readable || outward?.isHeld == true || hasOwnOutward, !localFinished else { return (0, false) }
        var moved = 0
        var failure: Int32 = 0
        var ring = false
        do throws(RingError) {
            // Nobody but this process has its ends: there is no owner to wait for, nor one that could have died.
            var hold = try channel.producer.hold()
            if channel.direct != nil, !hold.isSound { throw RingError.detached }
            // What had to wait for an answer.
            if let outward { try put(outward, &hold) }
            while moved < channel.producer.capacity {
                // One look at the peer's head decides. A second look could find room where the first found
                // none, and receiving zero bytes reads as the end of the stream.
                let target = try room(&hold, bounce)
                if target.count == 0 { break }
                let count = recv(socket, target.baseAddress, target.count, cs_msg_dontwait())
                if count <= 0 {
                    let error = cs_errno()
                    if count < 0, error == EINTR { continue }
                    if count == 0 { localFinished = true } else if error != EAGAIN { failure = error }
                    wasEmptied()
                    break
                }
                if let outward, outward.unread == 0 {
                    outward.count += count
                    try put(outward, &hold)
                } else {
                    rules?.passed(.outward, count)
                    if channel.producer.copyMode == .block {
                        try hold.commit(count)
                    } else {
                        _ = try hold.write(UnsafeRawBufferPointer(rebasing: target[0..<count]))
                    }
                }
                moved += count
                bytesOut &+= UInt64(count)
                // That was all there is: another look costs as much as this one, and what comes later is a new edge
                // (epoll(7)). Not so where an end is behind it, nor with a program's socket: descriptors that come
                // along (SCM_RIGHTS) cut what is read short.
                if rules != nil, !hasEnd, count < target.count {
                    wasEmptied()
                    break
                }
            }
            // The rest of a transfer's data is on its way from the kernel, and the peer's kernel waits for all of it:
            // one doorbell for the whole, unless the ring is full before.
            let more = !readable && !localFinished && (outward?.unread ?? 0) > 0
            channel.direct?.page.pumped.storeRelease(bytesOut)
            ring = hold.finish(peerPolls: peerPolls, more: more)
        } catch {
            try passOver(error, isOutward: true)
        }
        if rules?.violation != nil { throw .refused(.outward) }
        if failure != 0 { throw .local(errno: failure) }
        return (moved, ring)
    }

    /// What came of asking for an end. One that a program in direct mode is using is left alone for now, until nobody
    /// has its page any more; what else is wrong with it may be that program's doing, and costs it the connection.
    private func passOver(_ error: RingError, isOutward: Bool = false) throws(ConnectionEnd) {
        guard let direct = channel.direct else { throw .ring(error) }
        guard case .busy(let owner) = error else { throw .local(errno: EIO) }
        isContended = true
        // Who had it may have given it back meanwhile, and left in order.
        guard direct.isAbandoned(), direct.page.isHeld else { return }
        if isOutward {
            do throws(RingError) { _ = try channel.producer.recover(from: owner) } catch {}
        } else if !isGone || localFinished {
            throw .local(errno: EIO)
        }
    }

    /// The program takes what comes out of the ring itself.
    private var isAttended: Bool { !hasEnd && channel.direct?.page.isAttended.loadRelaxed() == 1 }

    /// The socket has no more to read for now: what the local kernel had sent, it has given its memory back for.
    private func wasEmptied() {
        readable = false
        if let outward, outward.count == outward.judged { rules?.settle() }
    }

    /// What a guard keeps back may go on when the other direction has moved.
    var isHolding: Bool { inward?.isHeld == true || outward?.isHeld == true }

    /// The guard has something to say, or has said what found no room in the ring.
    private var hasOwnOutward: Bool { rules?.hasAnswer == true || (outward?.judged ?? 0) > 0 }

    /// All has been moved both ways: the local kernel has read it, and has nothing to say.
    var isClear: Bool {
        writable && !readable && inward?.judged == 0 && outward?.count == 0 && cs_unread(socket) == 0
    }

    /// Where the next bytes from the socket go: in the ring itself, a bounce buffer, or the guard's private copy, and
    /// no more than fits into the ring.
    private func room(
        _ hold: inout ProducerHold, _ bounce: UnsafeMutableRawBufferPointer
    ) throws(RingError) -> UnsafeMutableRawBufferPointer {
        var limit = try hold.writable()
        var target = bounce
        if let outward, outward.unread == 0 {
            if outward.isHeld || rules?.violation != nil { limit = 0 }
            limit -= outward.count
            target = outward.free
        } else {
            if let outward { limit = min(limit, outward.unread) }
            if channel.producer.copyMode == .block { target = try hold.reserve().first }
        }
        return UnsafeMutableRawBufferPointer(rebasing: target[0..<max(0, min(limit, target.count))])
    }

    /// What the guard lets pass goes into the ring, where there is room for it.
    private func put(_ outward: GuardedStream, _ hold: inout ProducerHold) throws(RingError) {
        outward.judge()
        outward.remove(try hold.write(UnsafeRawBufferPointer(outward.judgedBytes)))
    }

    /// Ring to socket: fewer bytes than two rings hold, and nothing beyond the peer's final index.
    func pumpInward(
        peerPolls: Bool, bounce: UnsafeMutableRawBufferPointer
    ) throws(ConnectionEnd) -> (moved: Int, ring: Bool) {
        guard writable, !toldFinished, !isAttended else { return (0, false) }
        var moved = 0
        var failure: Int32 = 0
        var ring = false
        do throws(RingError) {
            var hold = try channel.consumer.hold()
            if channel.direct != nil, !hold.isSound { throw RingError.detached }
            // What the guard drops counts, too.
            let start = hold.position
            while Int(hold.position &- start) < channel.consumer.capacity {
                let source = try next(&hold, bounce)
                if source.count == 0 { break }
                let flags = cs_msg_dontwait() | cs_msg_nosignal()
                var count = send(socket, source.baseAddress, source.count, flags)
                if count < 0, cs_errno() == EPIPE, isDeaf() { count = source.count }
                if count < 0 {
                    let error = cs_errno()
                    if error == EINTR { continue }
                    writable = false
                    if error != EAGAIN { failure = error }
                    break
                }
                if let inward, inward.judged > 0 {
                    inward.remove(count)
                } else {
                    try hold.consume(count)
                    rules?.passed(.inward, count)
                }
                moved += count
                bytesIn &+= UInt64(count)
            }
            if let inward { channel.holdsBytes = inward.judged > 0 || inward.isHeld }
            channel.direct?.page.delivered.storeRelease(bytesIn)
            ring = hold.finish(peerPolls: peerPolls)
        } catch {
            try passOver(error)
        }
        if rules?.violation != nil { throw .refused(.inward) }
        if failure != 0 { throw .local(errno: failure) }
        return (moved, ring)
    }

    /// Whether the program wants to read no more, and may still send: what comes is dropped then, as a TCP socket drops
    /// it that was shut down for reading.
    private func isDeaf() -> Bool {
        guard !localFinished else { return false }
        var byte: UInt8 = 0
        let count = recv(socket, &byte, 1, cs_msg_dontwait() | cs_msg_peek())
        // It has left in order, and epoll has not told of that yet. What the guard keeps back is before the end.
        if count == 0, (outward?.count ?? 0) == 0 { localFinished = true }
        return count > 0 || count < 0 && cs_errno() == EAGAIN
    }

    /// How many bytes there are to read.
    private func readable(_ hold: inout ConsumerHold) throws(RingError) -> Int {
        let limit = try hold.readable()
        guard let final = channel.peerFinal else { return limit }
        return min(limit, Int(final &- hold.position))
    }

    /// The next straight run of bytes to send: in the ring itself, or copied out of it.
    private func next(
        _ hold: inout ConsumerHold, _ bounce: UnsafeMutableRawBufferPointer
    ) throws(RingError) -> UnsafeRawBufferPointer {
        var limit = try readable(&hold)
        if let inward {
            while inward.unread == 0 {
                inward.judge()
                if inward.judged > 0 { return UnsafeRawBufferPointer(inward.judgedBytes) }
                if limit == 0 || inward.isHeld || rules?.violation != nil { break }
                let free = inward.free
                let count = try hold.copy(
                    into: UnsafeMutableRawBufferPointer(rebasing: free[0..<min(limit, free.count)]))
                try hold.consume(count)
                inward.count += count
                limit -= count
            }
            limit = min(limit, inward.unread)
        }
        if limit == 0 { return UnsafeRawBufferPointer(start: nil, count: 0) }
        if channel.consumer.copyMode == .block {
            let span = try hold.peek().first
            return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(span)[0..<min(limit, span.count)])
        }
        let part = UnsafeMutableRawBufferPointer(rebasing: bounce[0..<min(limit, bounce.count)])
        let count = try hold.copy(into: part)
        return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(part)[0..<count])
    }

    /// Publishes where this side wants to be woken.
    /// - Returns: true when nothing can be done now, so that the agent may sleep.
    func maySleep() throws(ConnectionEnd) -> Bool {
        do throws(RingError) {
            // Bytes that wait for the other direction are no reason to stay awake.
            if writable, !toldFinished, !isAttended, inward?.isHeld != true {
                var hold = try channel.consumer.hold()
                if try !hold.requestWake() {
                    // Bytes beyond the final index are never read, and are no reason to stay awake.
                    if channel.peerFinal != channel.consumer.head { return false }
                }
            }
            if readable || hasOwnOutward, !localFinished, outward?.isHeld != true {
                var hold = try channel.producer.hold()
                if hasOwnOutward, try hold.writable() > 0 { return false }
                if try !hold.requestWake(free: channel.producer.capacity / 2) { return false }
            }
        } catch {
            try passOver(error)
        }
        return true
    }
}

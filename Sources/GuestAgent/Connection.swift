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
}

/// A channel's local half: a stream socket, and what is known of its readiness.
///
/// Bytes go from the socket straight into the ring and from the ring straight into the socket: one copy
/// each way, made by the kernel. On memory that is not cached they take a bounce buffer, because the
/// kernel's copy is free to make accesses that such memory does not allow.
final class Connection {
    let channel: Channel
    let socket: Int32
    /// The slot of the program that waits for the peer's answer, if this side opened.
    var client: Int?
    var guardStage = Guard()
    /// The socket may have something to read, or room: edges seen and not yet used up.
    var readable = true
    var writable = true
    /// The local program will send no more.
    var localFinished = false
    /// The socket was told that the peer will send no more.
    var toldFinished = false
    /// Ticks left for the peer to answer.
    var patience: UInt32 = 0
    /// Whether the peer answers a device's requests; for connections that this side opened to USB/IP's port.
    var progress: ImportProgress?
    /// Heartbeats for which a request, and for which an unlink, has had no answer.
    var unansweredTicks = 0
    var unlinkTicks = 0

    init(channel: Channel, socket: Int32) {
        self.channel = channel
        self.socket = socket
    }

    /// Socket to ring: at most one ring's capacity.
    /// - Returns: bytes moved, and whether the doorbell is to be rung.
    func pumpOutward(
        peerPolls: Bool, bounce: UnsafeMutableRawBufferPointer
    ) throws(ConnectionEnd) -> (moved: Int, ring: Bool) {
        guard readable, !localFinished else { return (0, false) }
        var moved = 0
        var failure: Int32 = 0
        var ring = false
        do throws(RingError) {
            var recovered: Recovery?
            var hold = try channel.producer.take(&recovered)
            while moved < channel.producer.capacity {
                // One look at the peer's head decides. A second look could find room where the first found
                // none, and receiving zero bytes reads as the end of the stream.
                let target = try room(&hold, bounce)
                if target.count == 0 { break }
                let count = recv(socket, target.baseAddress, target.count, cs_msg_dontwait())
                if count <= 0 {
                    let error = cs_errno()
                    if count < 0, error == EINTR { continue }
                    readable = false
                    if count == 0 { localFinished = true } else if error != EAGAIN { failure = error }
                    break
                }
                progress?.sent(UnsafeRawBufferPointer(rebasing: target[0..<count]))
                if channel.producer.copyMode == .block {
                    try hold.commit(count)
                } else {
                    _ = try hold.write(UnsafeRawBufferPointer(rebasing: target[0..<count]))
                }
                guardStage.passed(.outward, count)
                moved += count
            }
            ring = hold.finish(peerPolls: peerPolls) || recovered != nil
        } catch {
            throw .ring(error)
        }
        if failure != 0 { throw .local(errno: failure) }
        return (moved, ring)
    }

    /// Where the next bytes from the socket go: in the ring itself, or a bounce buffer of no more than fits.
    private func room(
        _ hold: inout ProducerHold, _ bounce: UnsafeMutableRawBufferPointer
    ) throws(RingError) -> UnsafeMutableRawBufferPointer {
        if channel.producer.copyMode == .block { return try hold.reserve().first }
        return UnsafeMutableRawBufferPointer(rebasing: bounce[0..<min(try hold.writable(), bounce.count)])
    }

    /// Ring to socket: at most one ring's capacity, and nothing beyond the peer's final index.
    func pumpInward(
        peerPolls: Bool, bounce: UnsafeMutableRawBufferPointer
    ) throws(ConnectionEnd) -> (moved: Int, ring: Bool) {
        guard writable, !toldFinished else { return (0, false) }
        var moved = 0
        var failure: Int32 = 0
        var ring = false
        do throws(RingError) {
            var recovered: Recovery?
            var hold = try channel.consumer.take(&recovered)
            while moved < channel.consumer.capacity {
                let source = try next(&hold, bounce)
                if source.count == 0 { break }
                guard case .pass(let allowed) = guardStage.judge(.inward, available: source.count), allowed > 0
                else { break }
                let flags = cs_msg_dontwait() | cs_msg_nosignal()
                let count = send(socket, source.baseAddress, allowed, flags)
                if count < 0 {
                    let error = cs_errno()
                    if error == EINTR { continue }
                    writable = false
                    if error != EAGAIN { failure = error }
                    break
                }
                try hold.consume(count)
                guardStage.passed(.inward, count)
                progress?.received()
                moved += count
            }
            ring = hold.finish(peerPolls: peerPolls) || recovered != nil
        } catch {
            throw .ring(error)
        }
        if failure != 0 { throw .local(errno: failure) }
        return (moved, ring)
    }

    /// The next straight run of bytes to send: in the ring itself, or copied out of it.
    private func next(
        _ hold: inout ConsumerHold, _ bounce: UnsafeMutableRawBufferPointer
    ) throws(RingError) -> UnsafeRawBufferPointer {
        var limit = try hold.readable()
        if let final = channel.peerFinal { limit = min(limit, Int(final &- hold.position)) }
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
            if writable, !toldFinished {
                var hold = try channel.consumer.hold()
                if try !hold.requestWake() {
                    // Bytes beyond the final index are never read, and are no reason to stay awake.
                    if channel.peerFinal != channel.consumer.head { return false }
                }
            }
            if readable, !localFinished {
                var hold = try channel.producer.hold()
                if try !hold.requestWake(free: channel.producer.capacity / 2) { return false }
            }
            return true
        } catch {
            throw .ring(error)
        }
    }
}

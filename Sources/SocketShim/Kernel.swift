// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// Questions to the kernel about a descriptor, past every replaced call.
enum Kernel {
    /// An integer socket option; nil if the descriptor is no socket or does not know it.
    static func option(_ fd: Int32, _ level: Int32, _ name: Int32) -> Int32? {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return raw_getsockopt(fd, level, name, &value, &length) == 0 ? value : nil
    }

    /// Whether so many bytes can be written there, for a socket's caller; what is there is lost.
    static func canWrite(_ fd: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> Bool {
        if count >= 8 { return raw_is_writable(bytes, count) != 0 }
        // The kernel writes a number, or as much of it as there is room for.
        var length = socklen_t(min(count, 4))
        guard raw_getsockopt(fd, SOL_SOCKET, SO_TYPE, bytes, &length) == 0 else { return false }
        length = 4
        return count <= 4 || raw_getsockopt(fd, SOL_SOCKET, SO_TYPE, bytes + (count - 4), &length) == 0
    }

    static func isConnected(_ fd: Int32) -> Bool {
        var address = sockaddr_un()
        var length = socklen_t(MemoryLayout<sockaddr_un>.size)
        return raw_getpeername(fd, &address, &length) == 0
    }

    static func isNonBlocking(_ fd: Int32) -> Bool {
        let status = raw_fcntl(fd, F_GETFL, 0)
        return status >= 0 && status & O_NONBLOCK != 0
    }

    /// Takes the error that is pending on a socket; 0 for none.
    static func takeError(_ fd: Int32) -> Int32 { option(fd, SOL_SOCKET, SO_ERROR) ?? 0 }

    /// Whether a connection that was made without waiting has been asked for by no second `connect` yet: that one is
    /// told how the first came out. The mark is a bit of the socket's priority, which AF_UNIX has no use for, so that
    /// every process that has the descriptor sees it.
    static func takeUnasked(_ fd: Int32) -> Bool {
        guard priority(fd) & 1 != 0 else { return false }
        setPriority(fd, priority(fd) & ~1)
        return true
    }

    static func setUnasked(_ fd: Int32) { setPriority(fd, priority(fd) | 1) }

    /// Whether somebody has seen that a connection was made: its stream had room. The next bit.
    static func isMade(_ fd: Int32) -> Bool { priority(fd) & 2 != 0 }

    static func setMade(_ fd: Int32) { setPriority(fd, priority(fd) | 2) }

    /// Whether more than one number, or an epoll instance, had the socket before it was connected: its bytes go by
    /// calls that do not know of a ring. The bit behind.
    static func isFollowed(_ fd: Int32) -> Bool { priority(fd) & 4 != 0 }

    private static func setFollowed(_ fd: Int32) { setPriority(fd, priority(fd) | 4) }

    private static func priority(_ fd: Int32) -> Int32 { option(fd, SOL_SOCKET, SO_PRIORITY) ?? 0 }

    private static func setPriority(_ fd: Int32, _ value: Int32) {
        var value = value
        _ = raw_setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Whether a listener was bound to the loopback's address, not to the wildcard. The mark is an option that AF_UNIX
    /// has no use for; a connection that is accepted does not have it from its listener.
    static func isLoopbackListener(_ fd: Int32) -> Bool { option(fd, SOL_SOCKET, SO_BROADCAST) == 1 }

    static func setLoopbackListener(_ fd: Int32) {
        var one: Int32 = 1
        _ = raw_setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    static func isListening(_ fd: Int32) -> Bool { option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1 }

    /// Whether a listener of this library has been shut down: the kernel has it listen still, and refuses everybody.
    static func isStopped(_ fd: Int32) -> Bool { raw_poll(fd, SHIM_POLLRDHUP, 0) & SHIM_POLLRDHUP != 0 }

    /// The family of a TCP socket that is neither connected nor listening: one that may become a
    /// channel. Nil for everything else, among it UDP sockets with a mapped port.
    static func familyOfFreshTCPSocket(_ fd: Int32) -> Family? {
        guard let domain = option(fd, SOL_SOCKET, SO_DOMAIN), let family = Family(domain: domain),
            let transport = option(fd, SOL_SOCKET, SO_PROTOCOL),
            transport == tcpProtocol || transport == multipathTCPProtocol,
            !isListening(fd), !isConnected(fd)
        else { return nil }
        return family
    }

    /// The local port of a TCP socket, 0 if it is not bound.
    static func localPort(_ fd: Int32) -> UInt16 {
        var address = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        guard raw_getsockname(fd, &address, &length) == 0 else { return 0 }
        return UInt16(bigEndian: address.sin6_port)  // at the same place in both families
    }

    /// Makes `replacement` what the number `fd` stands for, and every other number of this process that stands for the
    /// same socket, with the status flags, the close-on-exec flags, the socket options and the epoll registrations that
    /// the program had set; closes the number that it had.
    static func put(_ replacement: consuming Temporary, inPlaceOf fd: Int32) -> Int32 {
        let new = replacement.fd
        guard new >= 0 else { return new }
        let status = raw_fcntl(fd, F_GETFL, 0)
        carryOptions(from: fd, to: new)
        raw_carry_owner(fd, new)
        if status >= 0 { _ = raw_fcntl(new, F_SETFL, Int(status & (O_NONBLOCK | O_ASYNC))) }
        var followers = Followers(of: fd)
        followers.find()
        if followers.hasFound { setFollowed(new) }
        followers.replaceDuplicates(by: new)
        let result = duplicate(new, to: fd)
        followers.giveBackToEpoll()
        replacement.close()
        return result < 0 ? result : 0
    }

    /// dup3, with the close-on-exec flag that the number `fd` has.
    static func duplicate(_ replacement: Int32, to fd: Int32) -> Int32 {
        let flags = raw_fcntl(fd, F_GETFD, 0)
        let onExec = flags > 0 && flags & FD_CLOEXEC != 0 ? O_CLOEXEC : 0
        var result = raw_dup3(replacement, fd, onExec)
        while result == -EINTR || result == -EBUSY { result = raw_dup3(replacement, fd, onExec) }
        return result
    }

    /// Options of the socket level that keep their meaning on an AF_UNIX stream.
    static func carryOptions(from old: Int32, to new: Int32) {
        let names: InlineArray<8, Int32> = [
            SO_RCVTIMEO, SO_SNDTIMEO, SO_LINGER, SO_KEEPALIVE, SO_REUSEADDR, SO_OOBINLINE, SO_RCVLOWAT, SO_TIMESTAMP,
        ]
        for index in names.indices {
            var value: (UInt64, UInt64) = (0, 0)
            var length = socklen_t(MemoryLayout<(UInt64, UInt64)>.size)
            guard raw_getsockopt(old, SOL_SOCKET, names[index], &value, &length) == 0 else { continue }
            _ = raw_setsockopt(new, SOL_SOCKET, names[index], &value, length)
        }
    }
}

// Named here, because glibc has them as an enum and musl as macros.
let tcpProtocol: Int32 = 6
private let multipathTCPProtocol: Int32 = 262

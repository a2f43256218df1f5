// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// The library's `setsockopt`: what only TCP and IP sockets know is accepted and has no effect.
@c(shim_setsockopt)
func shimSetsockopt(
    _ fd: Int32, _ level: Int32, _ name: Int32, _ value: UnsafeRawPointer?, _ length: socklen_t
) -> Int32 {
    // More room would end the wait for the peer.
    if level == SOL_SOCKET, name == SO_SNDBUF || name == SO_SNDBUFFORCE, case .connected = Identity(of: fd),
        ConnectionState(of: fd) == .pending
    {
        return 0
    }
    guard let option = InternetOption(level: level, name: name), !Identity(of: fd).isForeign else {
        return next_setsockopt(fd, level, name, value, length)
    }
    switch option {
    case .identity, .unknown: return fail(ENOPROTOOPT)
    case .refused: return fail(EOPNOTSUPP)
    case .congestion: return length == 0 ? fail(EINVAL) : isKnownAlgorithm(value, length) ? 0 : fail(ENOENT)
    case .original: return fail(ENOPROTOOPT)
    case .number, .shared, .structure, .credentials, .absent:
        guard value != nil || length == 0 else { return fail(EFAULT) }
        return length < 4 && level == tcpProtocol ? fail(EINVAL) : 0
    }
}

/// The library's `getsockopt`: TCP's answers about the library's own sockets.
@c(shim_getsockopt)
func shimGetsockopt(
    _ fd: Int32, _ level: Int32, _ name: Int32, _ value: UnsafeMutableRawPointer?,
    _ length: UnsafeMutablePointer<socklen_t>?
) -> Int32 {
    if level == SOL_SOCKET, name == SO_ERROR { return connectionError(fd, value, length) }
    if level == SOL_SOCKET, name == SO_ACCEPTCONN { return listening(fd, value, length) }
    guard let option = InternetOption(level: level, name: name), let family = Identity(of: fd).family else {
        return next_getsockopt(fd, level, name, value, length)
    }
    guard let value, let length, raw_is_readable(length, MemoryLayout<socklen_t>.size) != 0 else {
        return fail(EFAULT)
    }
    guard Int32(bitPattern: length.pointee) >= 0 else { return fail(EINVAL) }
    let room = Int(length.pointee)
    // The kernel writes there first: bad pointers are its to refuse.
    guard raw_getsockopt(fd, SOL_SOCKET, SO_TYPE, value, length) != -EFAULT else { return fail(EFAULT) }
    switch option {
    case .unknown: return fail(ENOPROTOOPT)
    case .absent: return fail(ENODATA)
    case .original: return fail(ENOENT)
    case .congestion:
        // TCP_CA_NAME_MAX is 16.
        let name: StaticString = "cubic"
        let count = min(room, 16)
        guard Kernel.canWrite(fd, value, count) else { return fail(EFAULT) }
        for index in 0..<count {
            let byte = index < name.utf8CodeUnitCount ? name.utf8Start[index] : 0
            value.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
        }
        length.pointee = socklen_t(count)
        return 0
    case .refused: return store(0, value, room: room, length)
    case .credentials:
        // Who is at the other end of TCP: nobody that this machine knows. The agent's would be believed.
        var nobody: (Int32, UInt32, UInt32) = (0, .max, .max)
        let count = min(room, 12)
        guard Kernel.canWrite(fd, value, count) else { return fail(EFAULT) }
        value.copyMemory(from: &nobody, byteCount: count)
        length.pointee = socklen_t(count)
        return 0
    case .structure:
        // All zeros says "nothing known"; the first byte of TCP_INFO is the state.
        let count = level == tcpProtocol ? min(room, 104) : 0
        guard Kernel.canWrite(fd, value, count) else { return fail(EFAULT) }
        for index in 0..<count { value.storeBytes(of: 0, toByteOffset: index, as: UInt8.self) }
        if count > 0 { value.storeBytes(of: connectionState(fd), as: UInt8.self) }
        length.pointee = socklen_t(count)
        return 0
    case .shared:
        guard case .listener(_, _, .some) = Identity(of: fd) else { return store(0, value, room: room, length) }
        return store(1, value, room: room, length)
    case .identity(let isDomain):
        return store(isDomain ? family.domain : tcpProtocol, value, room: room, length)
    case .number(let usual):
        return store(usual, value, room: room, length)
    }
}

/// As TCP_INFO says it (include/net/tcp_states.h).
private func connectionState(_ fd: Int32) -> UInt8 {
    let (established, closed): (UInt8, UInt8) = (1, 7)
    switch Identity(of: fd) {
    case .foreign, .listener: return Kernel.isListening(fd) && !Kernel.isStopped(fd) ? 10 : closed
    case .accepted: break
    case .connected:
        switch ConnectionState(of: fd) {
        case .established: break
        case .pending: return 2
        case .failed: return closed
        }
    }
    if StreamEnd.isOver(fd) { return closed }
    // The peer has ended its direction; or this program has, and the peer's agent knows.
    if raw_poll(fd, SHIM_POLLRDHUP, 0) & SHIM_POLLRDHUP != 0 { return 8 }
    return StreamEnd.Mark.finished.isSet(fd) ? 5 : established
}

private func isKnownAlgorithm(_ value: UnsafeRawPointer?, _ length: socklen_t) -> Bool {
    guard let value, length > 0, raw_is_readable(value, min(Int(length), 16)) != 0 else { return false }
    var scanner = Scanner(value.assumingMemoryBound(to: UInt8.self), count: min(Int(length), 16))
    guard scanner.skip("cubic") || scanner.skip("reno") else { return false }
    return scanner.isAtEnd || scanner.skip(0)
}

/// SO_ERROR: the kernel's "reset" stands for the reason why a connection was not made, and a connection that was reset
/// may have none pending.
private func connectionError(
    _ fd: Int32, _ value: UnsafeMutableRawPointer?, _ length: UnsafeMutablePointer<socklen_t>?
) -> Int32 {
    let result = next_getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length)
    guard result == 0, let value, let length, length.pointee >= 4 else { return result }
    let error: Int32
    switch value.loadUnaligned(as: Int32.self) {
    case ECONNRESET: error = StreamEnd.meaningOfReset(fd)
    case 0:
        // Who asks this first has waited for room: it is remembered that there was some.
        if case .connected = Identity(of: fd) { _ = ConnectionState(of: fd) }
        error = StreamEnd.takeError(fd)
        if error == 0 { return 0 }
    default: return 0
    }
    return store(error, value, room: 4, length)
}

/// SO_ACCEPTCONN: one that was stopped listens no more.
private func listening(
    _ fd: Int32, _ value: UnsafeMutableRawPointer?, _ length: UnsafeMutablePointer<socklen_t>?
) -> Int32 {
    let result = next_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, value, length)
    guard result == 0, let value, let length, length.pointee >= 4, value.loadUnaligned(as: Int32.self) == 1,
        isListener(fd) != 0, Kernel.isStopped(fd)
    else { return result }
    return store(0, value, room: 4, length)
}

private func store(
    _ number: Int32, _ value: UnsafeMutableRawPointer, room: Int, _ length: UnsafeMutablePointer<socklen_t>
) -> Int32 {
    let count = min(room, 4)
    withUnsafePointer(to: number) { value.copyMemory(from: $0, byteCount: count) }
    length.pointee = socklen_t(count)
    return 0
}

/// A socket option that an AF_UNIX stream would answer otherwise than a TCP socket.
private enum InternetOption {
    /// SO_DOMAIN or SO_PROTOCOL.
    case identity(isDomain: Bool)
    /// An integer, with the value that a TCP socket on the loopback usually has.
    case number(Int32)
    /// SO_REUSEPORT, which newer kernels refuse for AF_UNIX.
    case shared
    /// SO_PEERCRED.
    case credentials
    /// What else AF_UNIX says of who is at the other end, and TCP does not.
    case absent
    /// What AF_UNIX alone can be asked for.
    case refused
    /// TCP_CONGESTION.
    case congestion
    /// SO_ORIGINAL_DST: a connection that was turned to another address than it was made to. None of these was.
    case original
    /// Something longer.
    case structure
    /// Something that would promise what this library does not do.
    case unknown

    /// Nil for what AF_UNIX answers well itself.
    init?(level: Int32, name: Int32) {
        switch level {
        case SOL_SOCKET:
            switch name {
            case SO_DOMAIN: self = .identity(isDomain: true)
            case SO_PROTOCOL: self = .identity(isDomain: false)
            case SO_REUSEPORT: self = .shared
            case SO_PEERCRED: self = .credentials
            case 59, 77: self = .absent  // SO_PEERGROUPS, SO_PEERPIDFD
            case 31: self = .unknown  // SO_PEERSEC
            case SO_PASSCRED, 34, 76: self = .refused  // and SO_PASSSEC, SO_PASSPIDFD
            // Marks of ours (Kernel.takeUnasked, Kernel.isLoopbackListener, StreamEnd.Mark).
            case SO_PRIORITY, SO_DONTROUTE, SO_BROADCAST: self = .number(0)
            default: return nil
            }
        case tcpProtocol: self = Self.tcp(name)
        case 0, 41: self = Self.internet(level, name)
        default: return nil
        }
    }

    private static func tcp(_ name: Int32) -> InternetOption {
        switch name {
        case TCP_NODELAY: return .number(1)  // a ring never waits for more
        case TCP_MAXSEG: return .number(32_768)
        case TCP_KEEPIDLE: return .number(7_200)
        case TCP_KEEPINTVL: return .number(75)
        case TCP_KEEPCNT: return .number(9)
        case TCP_SYNCNT: return .number(6)
        case TCP_LINGER2: return .number(60)
        case TCP_WINDOW_CLAMP: return .number(65_536)
        case TCP_QUICKACK: return .number(1)
        case TCP_CORK, TCP_DEFER_ACCEPT, TCP_USER_TIMEOUT, TCP_FASTOPEN, TCP_NOTSENT_LOWAT: return .number(0)
        case TCP_CONGESTION: return .congestion
        case TCP_INFO: return .structure
        // Thin streams, time stamps, saved SYNs, fast open without cookies, bytes to read, delays and retransmission.
        case 16, 17, 24, 27, 30, 34, 36, 37, 44, 45: return .number(0)
        default: return .unknown
        }
    }

    private static func internet(_ level: Int32, _ name: Int32) -> InternetOption {
        // IP_TTL and IPV6_UNICAST_HOPS; IP_OPTIONS is empty.
        if name == 80 { return .original }
        if level == 0 {
            switch name {
            case IP_TTL: return .number(64)
            case IP_OPTIONS: return .structure
            case IP_MTU: return .number(65_535)  // the loopback's
            default: return .number(0)
            }
        }
        return name == IPV6_UNICAST_HOPS ? .number(64) : name == IPV6_V6ONLY ? .number(1) : .number(0)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// How a connection ended, which an AF_UNIX stream does not say: it has the end of the stream where TCP has a reset.
///
/// The agent closes its end of a stream when the connection was reset, or lost, and when both directions have ended in
/// order. What the program has ended itself is marked, so the one is known from the other. The marks are options of
/// the socket that AF_UNIX has no use for, so that every process that has the descriptor sees them.
enum StreamEnd {
    enum Mark {
        /// The program has ended its direction.
        case finished
        /// The program has been told of the reset: once, as TCP does.
        case resetTold

        private var option: Int32 { self == .finished ? SO_DONTROUTE : SO_BROADCAST }

        func isSet(_ fd: Int32) -> Bool { Kernel.option(fd, SOL_SOCKET, option) == 1 }

        func set(_ fd: Int32) {
            var one: Int32 = 1
            _ = raw_setsockopt(fd, SOL_SOCKET, option, &one, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// Whether both directions of a connection are over.
    static func isOver(_ fd: Int32) -> Bool { raw_poll(fd, 0, 0) & Int32(POLLHUP) != 0 }

    /// The error that a program is to get where the kernel has the end of the stream; 0 for an orderly end.
    static func takeError(_ fd: Int32) -> Int32 {
        // The cheapest question first: files end, too.
        guard isOver(fd), Kernel.option(fd, SOL_SOCKET, SO_DOMAIN) == AF_UNIX else { return 0 }
        switch Identity(of: fd) {
        case .foreign, .listener: return 0
        case .connected: if case .failed = ConnectionState(of: fd) { return 0 }
        case .accepted: break
        }
        guard !Mark.finished.isSet(fd), !Mark.resetTold.isSet(fd) else { return 0 }
        Mark.resetTold.set(fd)
        Trace.note("recv", fd, "the peer has reset the connection, or the link is gone")
        return ECONNRESET
    }

    /// What the kernel's "reset" stands for.
    static func meaningOfReset(_ fd: Int32) -> Int32 {
        switch Identity(of: fd) {
        case .foreign, .listener: return ECONNRESET
        case .connected:
            if case .failed(let error) = ConnectionState(of: fd) { return error }
        case .accepted: break
        }
        Mark.resetTold.set(fd)
        return ECONNRESET
    }
}

/// The library's `shutdown`: it remembers that the program has ended its direction.
@c(shutdown)
public func shimShutdown(_ fd: Int32, _ how: Int32) -> Int32 {
    let isStream: Bool
    switch Identity(of: fd) {
    case .connected: isStream = ConnectionState(of: fd) == .established
    case .accepted: isStream = true
    case .foreign, .listener: isStream = false
    }
    // TCP knows nothing of a connection whose directions are both over.
    if isStream, StreamEnd.isOver(fd) { return fail(ENOTCONN) }
    let result = next_shutdown(fd, how)
    if result == 0, isStream, how != shutReading { StreamEnd.Mark.finished.set(fd) }
    return result
}

// SHUT_RD: glibc has it as an enum, musl as a macro.
private let shutReading: Int32 = 0

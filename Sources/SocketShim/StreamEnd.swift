// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// How a connection ended, which an AF_UNIX stream does not say: it has the end of the stream where TCP has a reset.
///
/// The agent closes its end of a stream when the connection was reset, or lost, and when both directions have ended in
/// order. Which it was it says in its end's name (`AgentWord`). Where it could not (a connection for which it had no
/// stream to give), what the program has ended itself is marked, and stands for an orderly end. The marks are options
/// of the socket that AF_UNIX has no use for, so that every process that has the descriptor sees them.
enum StreamEnd {
    enum Mark {
        /// The program has ended its direction.
        case finished
        /// The program has been told of the reset, once, as TCP does; or of the end, and nothing comes behind that.
        case resetTold

        private var option: Int32 { self == .finished ? SO_DONTROUTE : SO_BROADCAST }

        func isSet(_ fd: Int32) -> Bool { Kernel.option(fd, SOL_SOCKET, option) == 1 }

        func set(_ fd: Int32, _ isSet: Bool = true) {
            var value: Int32 = isSet ? 1 : 0
            _ = raw_setsockopt(fd, SOL_SOCKET, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// Whether both directions of a connection are over.
    static func isOver(_ fd: Int32) -> Bool { raw_poll(fd, 0, 0) & Int32(POLLHUP) != 0 }

    /// The error that a program is to get where the kernel has the end of the stream; 0 for an orderly end, which is
    /// remembered. Files end, too: nothing but the domain is asked of them, since `poll` may change what they say.
    static func hear(_ fd: Int32) -> Int32 {
        let error = takeError(fd)
        if error == 0, isStream(fd) != 0, !Mark.resetTold.isSet(fd) { Mark.resetTold.set(fd) }
        return error
    }

    /// ECONNRESET, once, for a connection that was reset; 0 for any other.
    static func takeError(_ fd: Int32) -> Int32 {
        guard Kernel.option(fd, SOL_SOCKET, SO_DOMAIN) == AF_UNIX else { return 0 }
        switch Identity(of: fd) {
        case .foreign, .listener: return 0
        case .connected, .accepted: break
        }
        guard isOver(fd), !Mark.resetTold.isSet(fd) else { return 0 }
        switch AgentWord(of: fd) {
        case .ended, .refused: return 0
        case .other: if Mark.finished.isSet(fd) { return 0 }
        case .nothing: break
        }
        Mark.resetTold.set(fd)
        Trace.note("recv", fd, "the peer has reset the connection, or the link is gone")
        return ECONNRESET
    }

    /// What the kernel's "reset" stands for; 0 where the program has heard the end, or of the reset, before.
    static func meaningOfReset(_ fd: Int32) -> Int32 {
        switch Identity(of: fd) {
        case .foreign, .listener: return ECONNRESET
        case .connected, .accepted: break
        }
        let word = AgentWord(of: fd)
        if case .refused(let error) = word { return error }
        if Mark.resetTold.isSet(fd) { return 0 }
        Mark.resetTold.set(fd)
        if case .ended = word { return 0 }
        // An agent that was killed says nothing of a connection that was not made.
        if case .nothing = word, case .connected = Identity(of: fd), !Kernel.isMade(fd) { return ECONNREFUSED }
        return ECONNRESET
    }
}

/// The library's `shutdown`: it remembers that the program has ended its direction.
@c(shim_shutdown)
func shimShutdown(_ fd: Int32, _ how: Int32) -> Int32 {
    let inode = raw_inode(fd)
    let isStream: Bool
    switch Identity(of: fd) {
    case .connected: isStream = ConnectionState(of: fd) == .established
    case .accepted: isStream = true
    case .foreign: isStream = false
    case .listener:
        guard how >= shutReading, how <= shutBoth else { return fail(EINVAL) }
        guard Kernel.isListening(fd), !Kernel.isStopped(fd) else { return fail(ENOTCONN) }
        // A listener has nothing to write: TCP takes no notice.
        if how != shutWriting { stopListening(fd, inode) }
        return 0
    }
    // TCP knows nothing of a connection whose directions are both over.
    if isStream, StreamEnd.isOver(fd) { return fail(ENOTCONN) }
    // Before, since a thread that reads may have the end at once.
    let ends = isStream && how != shutReading && !StreamEnd.Mark.finished.isSet(fd)
    if ends { StreamEnd.Mark.finished.set(fd) }
    // Who wants to read no more hears of no reset: over both ways, a stream looks as if there had been one.
    let hears = isStream && how != shutWriting && !StreamEnd.Mark.resetTold.isSet(fd)
    if hears { StreamEnd.Mark.resetTold.set(fd) }
    let result = next_shutdown(fd, how)
    if result != 0, ends { StreamEnd.Mark.finished.set(fd, false) }
    if result != 0, hears { StreamEnd.Mark.resetTold.set(fd, false) }
    return result
}

// SHUT_RD, SHUT_WR: glibc has them as an enum, musl as macros.
private let shutReading: Int32 = 0
private let shutWriting: Int32 = 1
let shutBoth: Int32 = 2

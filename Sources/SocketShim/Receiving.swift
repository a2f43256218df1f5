// SPDX-License-Identifier: Apache-2.0
import CSocketShim

// What the calls that read and send ask (raw/streams.c). While bytes arrive they ask nothing: the descriptor is a real
// socket, and all else is the kernel's work.

/// The result of a call that was to read, as TCP would give it: what a stream's end is, and what a reset stands for.
/// - Parameters:
///   - result: 0, or -1 with errno.
///   - wanted: whether there was room for a byte.
@c(shim_received)
func received(_ fd: Int32, _ result: Int, _ wanted: Int32) -> Int {
    if result == 0 {
        let error = wanted != 0 ? StreamEnd.hear(fd) : 0
        return error == 0 ? 0 : Int(fail(error))
    }
    guard shim_errno() == ECONNRESET else { return result }
    let error = StreamEnd.meaningOfReset(fd)
    return error == 0 ? 0 : Int(fail(error))
}

/// Whether the descriptor is a connection of this library.
@c(shim_is_stream)
func isStream(_ fd: Int32) -> Int32 {
    switch Identity(of: fd) {
    case .accepted, .connected: return 1
    case .foreign, .listener: return 0
    }
}

/// What a call's flags ask of a connection of this library that it does not have.
/// - Returns: an errno, or 0.
@c(shim_refuses)
func refuses(_ fd: Int32, _ flags: Int32, _ isSending: Int32) -> Int32 {
    let meant = flags & (isSending != 0 ? outOfBand | fastOpen : outOfBand | errorQueue)
    guard meant != 0, isStream(fd) != 0 else { return 0 }
    if meant & outOfBand != 0 {
        Trace.note(isSending != 0 ? "send" : "recv", fd, "out-of-band data is refused: a ring has no way for it")
        return isSending != 0 ? EOPNOTSUPP : EINVAL
    }
    return isSending != 0 ? EISCONN : EAGAIN
}

// MSG_OOB, MSG_ERRQUEUE, MSG_FASTOPEN: glibc has them as an enum, musl as macros.
private let outOfBand: Int32 = 1
private let errorQueue: Int32 = 0x2000
private let fastOpen: Int32 = 0x2000_0000

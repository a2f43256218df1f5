// SPDX-License-Identifier: Apache-2.0
import CSocketShim

// `accept` and `accept4` are C (raw/streams.c). The peer's end is on the other side of a ring and has no address, so
// the program is given the loopback.

/// Whether the descriptor is a listener of this library.
@c(shim_is_listener)
func isListener(_ fd: Int32) -> Int32 {
    if case .listener = Identity(of: fd) { return 1 }
    return 0
}

/// Gives an accepted stream what a TCP connection has from its listener, and its address to the program.
/// - Returns: the stream; or -1 with errno, and it is closed.
@c(shim_accepted)
func accepted(
    _ stream: Int32, _ listener: Int32, _ address: UnsafeMutablePointer<sockaddr>?,
    _ length: UnsafeMutablePointer<socklen_t>?
) -> Int32 {
    // Another thread may have closed the listener meanwhile, and its number may stand for something else.
    guard let family = Identity(of: stream).family else { return stream }
    Trace.accepted(stream, of: listener)
    if isListener(listener) != 0 { Kernel.carryOptions(from: listener, to: stream) }
    guard address != nil else { return stream }
    guard peerEndpoint(stream, family).write(to: address, length: length, of: stream) == 0 else {
        _ = raw_close(stream)
        return -1
    }
    return stream
}

/// A loopback address with a port that stays the same for the connection's life and differs between
/// connections that live at the same time, as a client's would: it comes from the socket's inode.
func peerEndpoint(_ stream: Int32, _ family: Family) -> Endpoint {
    .loopback(family, port: UInt16(32_768 + raw_inode(stream) % 28_232))
}

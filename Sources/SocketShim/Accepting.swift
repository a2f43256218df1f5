// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// The library's `accept`: the peer's end is on the other side of a ring and has no address, so the
/// program is given the loopback.
@c(accept)
public func shimAccept(
    _ fd: Int32, _ address: UnsafeMutablePointer<sockaddr>?, _ length: UnsafeMutablePointer<socklen_t>?
) -> Int32 {
    guard case .listener(_, let family, _) = Identity(of: fd) else { return next_accept(fd, address, length) }
    return complete(next_accept(fd, nil, nil), of: fd, family, address, length)
}

/// The library's `accept4`.
@c(accept4)
public func shimAccept4(
    _ fd: Int32, _ address: UnsafeMutablePointer<sockaddr>?, _ length: UnsafeMutablePointer<socklen_t>?,
    _ flags: Int32
) -> Int32 {
    guard case .listener(_, let family, _) = Identity(of: fd) else { return next_accept4(fd, address, length, flags) }
    return complete(next_accept4(fd, nil, nil, flags), of: fd, family, address, length)
}

/// Gives an accepted stream what a TCP connection has from its listener, and its address to the program.
private func complete(
    _ stream: Int32, of listener: Int32, _ family: Family, _ address: UnsafeMutablePointer<sockaddr>?,
    _ length: UnsafeMutablePointer<socklen_t>?
) -> Int32 {
    guard stream >= 0 else { return stream }
    Trace.accepted(stream, of: listener)
    Kernel.carryOptions(from: listener, to: stream)
    guard address != nil else { return stream }
    guard peerEndpoint(stream, family).write(to: address, length: length) == 0 else {
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

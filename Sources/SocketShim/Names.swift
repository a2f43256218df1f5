// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// The library's `getsockname`: TCP addresses for the library's own sockets.
@c(shim_getsockname)
func shimGetsockname(
    _ fd: Int32, _ address: UnsafeMutablePointer<sockaddr>?, _ length: UnsafeMutablePointer<socklen_t>?
) -> Int32 {
    switch Identity(of: fd) {
    case .foreign:
        return next_getsockname(fd, address, length)
    case .listener(let service, let family, _):
        let port = Settings.port(ofService: service)
        let own = Kernel.isLoopbackListener(fd) ? Endpoint.loopback(family, port: port) : .wildcard(family, port: port)
        return own.write(to: address, length: length, of: fd)
    case .accepted(let service, let family):
        let own = Endpoint.loopback(family, port: Settings.port(ofService: service))
        return own.write(to: address, length: length, of: fd)
    case .connected(let local, _):
        // A connection that was not made has no address, and keeps its port.
        if case .failed = ConnectionState(of: fd) {
            return Endpoint.wildcard(local.family, port: local.port).write(to: address, length: length, of: fd)
        }
        return local.write(to: address, length: length, of: fd)
    }
}

/// The library's `getpeername`.
@c(shim_getpeername)
func shimGetpeername(
    _ fd: Int32, _ address: UnsafeMutablePointer<sockaddr>?, _ length: UnsafeMutablePointer<socklen_t>?
) -> Int32 {
    switch Identity(of: fd) {
    case .foreign, .listener:
        return next_getpeername(fd, address, length)
    case .accepted(_, let family):
        guard !StreamEnd.isOver(fd) else { return fail(ENOTCONN) }
        return peerEndpoint(fd, family).write(to: address, length: length, of: fd)
    case .connected(_, let remote):
        guard ConnectionState(of: fd) == .established, !StreamEnd.isOver(fd) else { return fail(ENOTCONN) }
        return remote.write(to: address, length: length, of: fd)
    }
}

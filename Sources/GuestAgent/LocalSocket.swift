// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// AF_UNIX stream sockets: the only kind of socket that the agent uses.
enum LocalSocket {
    @inline(never)
    private static func withAddress<R>(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
    ) -> R? {
        var address = sockaddr_un()
        let length = path.withCString { cs_unix_address(&address, $0) }
        if length == 0 {
            cs_set_errno(ENAMETOOLONG)
            return nil
        }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    @inline(never)
    static func create() -> Int32 {
        socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec() | cs_sock_nonblock(), 0)
    }

    /// Connects without blocking.
    /// - Returns: the descriptor, or -1 with errno; EAGAIN when the listener's backlog is full.
    @inline(never)
    static func connect(_ path: String) -> Int32 {
        let fd = create()
        if fd < 0 { return -1 }
        let result = withAddress(path) { CShim.connect(fd, $0, $1) } ?? -1
        if result == 0 { return fd }
        let error = cs_errno()
        close(fd)
        cs_set_errno(error)
        return -1
    }

    /// Listens at `path`; a socket that nobody listens on any more is replaced.
    /// - Returns: the descriptor, or -1 with errno; EADDRINUSE when somebody listens there.
    @inline(never)
    static func listen(_ path: String) -> Int32 {
        let other = connect(path)
        if other >= 0 || cs_errno() == EAGAIN {
            if other >= 0 { close(other) }
            cs_set_errno(EADDRINUSE)
            return -1
        }
        if cs_errno() == ECONNREFUSED { _ = path.withCString { unlink($0) } }
        let fd = create()
        if fd < 0 { return -1 }
        let mask = umask(0o177)
        let bound = withAddress(path) { bind(fd, $0, $1) } ?? -1
        umask(mask)
        if bound == 0, CShim.listen(fd, 64) == 0 { return fd }
        let error = cs_errno()
        close(fd)
        cs_set_errno(error)
        return -1
    }

    @inline(never)
    static func accept(_ listener: Int32) -> Int32 {
        cs_accept(listener)
    }
}

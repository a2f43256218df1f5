// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation

/// An AF_UNIX stream socket that closes itself.
final class UnixSocket: Sendable {
    let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }

    /// Waits for connections at `path`, which must not exist yet.
    static func listen(at path: String) throws -> UnixSocket {
        let socket = try create(for: "listen at \(path)")
        try socket.withAddress(path) { address, length in
            bind(socket.descriptor, address, length) == 0 && Foundation.listen(socket.descriptor, 16) == 0
        }
        return socket
    }

    /// Connects to the listener at `path`.
    static func connect(to path: String) throws -> UnixSocket {
        let socket = try create(for: "connect to \(path)")
        try socket.withAddress(path) { Foundation.connect(socket.descriptor, $0, $1) == 0 }
        return socket
    }

    /// The next connection of a listener, non-blocking; nil where it is gone already.
    func accept() -> UnixSocket? {
        let connection = Foundation.accept(descriptor, nil, nil)
        guard connection >= 0 else { return nil }
        _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
        _ = fcntl(connection, F_SETFL, O_NONBLOCK)
        return UnixSocket(descriptor: connection)
    }

    /// Sends all of `bytes`; false where the peer is gone or takes no more.
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Foundation.send(descriptor, $0.baseAddress, $0.count, cs_msg_nosignal())
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Sends `bytes` and, by SCM_RIGHTS, a copy of the descriptor `attached`.
    func send(_ bytes: [UInt8], attaching attached: Int32) -> Bool {
        var bytes = bytes
        return Self.withControl { header, control in
            bytes.withUnsafeMutableBytes { payload in
                var vector = iovec(iov_base: payload.baseAddress, iov_len: payload.count)
                control.storeBytes(of: Self.controlLength, as: Int.self)
                control.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
                control.storeBytes(of: Int32(SCM_RIGHTS), toByteOffset: 12, as: Int32.self)
                control.storeBytes(of: attached, toByteOffset: 16, as: Int32.self)
                return withUnsafeMutablePointer(to: &vector) {
                    header.msg_iov = $0
                    header.msg_iovlen = 1
                    return sendmsg(descriptor, &header, cs_msg_nosignal()) == payload.count
                }
            }
        }
    }

    /// What has arrived, at most `limit` bytes: empty at the peer's end, nil where nothing is there now.
    func receive(limit: Int = 65536) -> [UInt8]? {
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, initialized in
            repeat { count = recv(descriptor, buffer.baseAddress, limit, 0) } while count < 0 && errno == EINTR
            initialized = max(0, count)
        }
        return count < 0 && errno == EAGAIN ? nil : bytes
    }

    /// One message of `size` bytes with the descriptor that came with it, if any; nil at the peer's end.
    func receive(exactly size: Int) -> (bytes: [UInt8], descriptor: Int32?)? {
        var bytes = [UInt8](repeating: 0, count: size)
        return Self.withControl { header, control in
            bytes.withUnsafeMutableBytes { payload in
                var vector = iovec(iov_base: payload.baseAddress, iov_len: payload.count)
                let count = withUnsafeMutablePointer(to: &vector) {
                    header.msg_iov = $0
                    header.msg_iovlen = 1
                    return recvmsg(descriptor, &header, Int32(MSG_WAITALL | MSG_CMSG_CLOEXEC))
                }
                guard count == size else { return nil }
                let attached = header.msg_controllen >= Self.controlLength
                return (Array(payload), attached ? control.load(fromByteOffset: 16, as: Int32.self) : nil)
            }
        }
    }

    /// Waits until something can be received; false when the time is over.
    func waitReadable(_ timeout: Duration) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, Int32(max(0, Progress.seconds(timeout) * 1000))) > 0
    }

    // struct cmsghdr and one descriptor, as CMSG_LEN and CMSG_SPACE count them on 64-bit Linux: the macros
    // themselves are not visible to Swift.
    private static let controlLength = 20
    private static let controlSpace = 24

    private static func withControl<Result>(
        _ body: (inout msghdr, UnsafeMutableRawPointer) -> Result
    ) -> Result {
        withUnsafeTemporaryAllocation(byteCount: controlSpace, alignment: 8) { control in
            control.initializeMemory(as: UInt8.self, repeating: 0)
            var header = msghdr()
            header.msg_control = control.baseAddress
            header.msg_controllen = control.count
            return body(&header, control.baseAddress!)
        }
    }

    private static func create(for purpose: String) throws -> UnixSocket {
        let descriptor = socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0)
        guard descriptor >= 0 else { throw systemError(purpose, remedy: "check the limit of open files") }
        return UnixSocket(descriptor: descriptor)
    }

    private func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Bool) throws {
        var address = sockaddr_un()
        let length = cs_unix_address(&address, path)
        guard length > 0 else {
            throw RigError(
                tried: "use the socket \(path)", happened: "the path is longer than an AF_UNIX address holds",
                remedy: "set TMPDIR to a shorter path")
        }
        let done = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
        guard done else {
            throw Self.systemError("use the socket \(path)", remedy: "check that the other end runs")
        }
    }

    private static func systemError(_ tried: String, remedy: String) -> RigError {
        RigError(tried: tried, happened: String(cString: strerror(errno)), remedy: remedy)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// The library's `bind`: a mapped port becomes a service that the peer's programs can connect to.
@c(shim_bind)
func shimBind(_ fd: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> Int32 {
    let target = Endpoint(address, length: length)
    guard let endpoint = target, endpoint.isLocal, let service = Settings.service(ofPort: endpoint.port),
        Kernel.familyOfFreshTCPSocket(fd) == endpoint.family
    else {
        Trace.leave("bind", fd, target, Trace.reason(target))
        return next_bind(fd, address, length)
    }
    // A second bind of a TCP socket is the kernel's to refuse.
    guard Kernel.localPort(fd) == 0 else { return next_bind(fd, address, length) }
    let result = ServiceSocket(
        service: service, family: endpoint.family, isLoopback: !endpoint.isWildcard,
        isShared: Kernel.option(fd, SOL_SOCKET, SO_REUSEPORT) == 1
    ).open(inPlaceOf: fd)
    Trace.outcome("bind", fd, endpoint, service, "", "offered to the peer's programs", -result)
    return result == 0 ? 0 : fail(-result)
}

/// A listener stops to listen, as TCP's does by `shutdown` for reading, or `connect` to no address: who accepts is
/// woken, in whichever process; what waits is let go; and its port stays its own.
/// - Parameter inode: of the listener. As soon as it is stopped a thread that accepts may close it, and open another
///   one under its number: what is done here is done to a number of its own.
func stopListening(_ fd: Int32, _ inode: UInt64) {
    let own = Temporary { raw_fcntl(fd, F_DUPFD_CLOEXEC, 0) }
    let isSame = raw_inode(own.fd < 0 ? fd : own.fd) == inode
    if isSame { _ = raw_shutdown(own.fd < 0 ? fd : own.fd, shutBoth) }
    while isSame, own.fd >= 0 {
        // With nobody left this says EINVAL, and does not wait.
        let waiting = Temporary { raw_accept(own.fd) }
        let isNone = waiting.fd < 0
        waiting.close()
        if isNone { break }
    }
    own.close()
}

/// The library's `listen`. It means the same on what stands for a service, but for a listener that was stopped: the
/// kernel never lets that one be reached again, and a fresh one takes its place and name.
@c(shim_listen)
func shimListen(_ fd: Int32, _ backlog: Int32) -> Int32 {
    let inode = raw_inode(fd)
    guard case .listener(let service, let family, let place) = Identity(of: fd), Kernel.isListening(fd),
        Kernel.isStopped(fd)
    else { return next_listen(fd, backlog) }
    let result = ServiceSocket(
        service: service, family: family, isLoopback: Kernel.isLoopbackListener(fd), isShared: place != nil
    ).resume(inPlaceOf: fd, inode, at: place, backlog)
    return result == 0 ? 0 : fail(-result)
}

/// Whether an accepted stream is that of `listen` behind a stop, which only asks whether somebody is there.
@c(shim_is_probe)
func isProbe(_ stream: Int32) -> Int32 {
    var address = sockaddr_un()
    var length = socklen_t(MemoryLayout<sockaddr_un>.size)
    guard raw_getpeername(stream, &address, &length) == 0, length > 2 else { return 0 }
    return withUnsafeBytes(of: &address) { bytes in
        let name = bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self) + 2
        var scanner = Scanner(name, count: Int(length) - 2)
        return scanner.skip(0) && scanner.skip(probeName) ? 1 : 0
    }
}

private var probeName: StaticString { "ringway?" }

/// A service's socket in the runtime directory.
private struct ServiceSocket {
    let service: UInt16
    let family: Family
    /// Bound to the loopback's address, not to the wildcard.
    let isLoopback: Bool
    /// SO_REUSEPORT: beside others that have it, too.
    let isShared: Bool

    func open(inPlaceOf fd: Int32) -> Int32 {
        let folder = openFolder()
        guard folder.fd >= 0 else { return explain(folder.fd) }
        let stream = Temporary.stream()
        let result = stream.fd < 0 ? stream.fd : bind(stream.fd)
        Self.close(folder)
        guard result == 0 else {
            stream.close()
            return result == -EADDRINUSE ? result : explain(result)
        }
        if isLoopback { Kernel.setLoopbackListener(stream.fd) }
        return Kernel.put(stream, inPlaceOf: fd)
    }

    /// - Parameter inode: of the listener that was stopped; another thread may use its number again.
    func resume(inPlaceOf fd: Int32, _ inode: UInt64, at place: UInt8?, _ backlog: Int32) -> Int32 {
        let folder = openFolder()
        guard folder.fd >= 0 else { return -EADDRINUSE }
        let stream = Temporary.stream()
        var result = stream.fd < 0 ? stream.fd : 0
        // Another process that has the listener may have been faster, and then it is the one that is reached.
        if result == 0, answers(at: place) { result = -EADDRINUSE }
        if result == 0 {
            _ = path(place).withCString { raw_unlink($0) }
            result = bind(stream.fd, at: place)
        }
        if result == 0, next_listen(stream.fd, backlog) != 0 { result = -shim_errno() }
        Self.close(folder)
        guard result == 0, raw_inode(fd) == inode else {
            stream.close()
            return result == 0 ? -EBADF : -EADDRINUSE
        }
        if isLoopback { Kernel.setLoopbackListener(stream.fd) }
        return Kernel.put(stream, inPlaceOf: fd)
    }

    /// Whether somebody who listens has the name: all but a refusal says so. That one's `accept` knows who asked
    /// (`isProbe`).
    private func answers(at place: UInt8?) -> Bool {
        guard let address = UnixAddress(path(place), isPath: true) else { return true }
        let probe = Temporary.stream()
        guard probe.fd >= 0 else { return true }
        _ = raw_fcntl(probe.fd, F_SETFL, Int(O_NONBLOCK))
        var name = Text()
        name.append(byte: 0)
        name.append(probeName)
        name.append(decimal: UInt64(raw_random()))
        _ = UnixAddress(name, isPath: false)?.bind(probe.fd)
        let result = address.connect(probe.fd)
        probe.close()
        return result != -ECONNREFUSED && result != -ENOENT
    }

    /// Takes the service, or a place beside those that share it.
    private func bind(_ stream: Int32) -> Int32 {
        guard isShared else {
            for place in 0..<ServicePath.places where isTaken(place) { return -EADDRINUSE }
            return bind(stream, at: nil)
        }
        if isTaken(nil) { return -EADDRINUSE }
        var result = -EADDRINUSE
        for place in 0..<ServicePath.places where result == -EADDRINUSE { result = bind(stream, at: place) }
        return result
    }

    private func path(_ place: UInt8?) -> Text {
        var path = Text()
        ServicePath.append(service: service, family, place: place, to: &path)
        return path
    }

    private func isTaken(_ place: UInt8?) -> Bool {
        guard let address = UnixAddress(path(place), isPath: true) else { return false }
        return isAlive(address)
    }

    /// Opens the folder of the services, makes it if this program is the first, and locks it: of two
    /// programs that both find a dead one's socket, the second must not remove the first one's. Whoever may open the
    /// folder may keep it locked; so it is waited for no longer than a second.
    private func openFolder() -> Temporary {
        var parent = Text()
        Settings.appendPath("", to: &parent)
        var path = Text()
        Settings.appendPath("/port", to: &path)
        let folder = Temporary {
            let folder = path.withCString { raw_open_folder($0) }
            guard folder == -ENOENT else { return folder }
            _ = parent.withCString { raw_make_folder($0, 0o755) }
            _ = path.withCString { raw_make_folder($0, 0o700) }
            return path.withCString { raw_open_folder($0) }
        }
        guard folder.fd >= 0 else { return folder }
        let deadline = raw_monotonic_milliseconds() + 1000
        while raw_lock(folder.fd) == -EWOULDBLOCK, raw_monotonic_milliseconds() < deadline { _ = raw_poll(-1, 0, 2) }
        return folder
    }

    /// Unlocked first: a child that was forked meanwhile has the folder open until it sees to it.
    private static func close(_ folder: consuming Temporary) {
        _ = raw_unlock(folder.fd)
        folder.close()
    }

    private func bind(_ stream: Int32, at place: UInt8?) -> Int32 {
        let path = path(place)
        guard let address = UnixAddress(path, isPath: true) else { return -ENAMETOOLONG }
        // Of programs of a group, the agent is another user; the folder keeps everybody else away. The mode is set
        // before the name appears; the program's umask can only take from it.
        let mode: UInt32 = folderIsShared() ? 0o666 : 0o600
        _ = raw_fchmod(stream, mode)
        var result = address.bind(stream)
        if result == -EADDRINUSE, !isAlive(address) {
            _ = path.withCString { raw_unlink($0) }
            result = address.bind(stream)
        }
        guard result == 0 else { return result }
        let file = Temporary { path.withCString { raw_open_path($0) } }
        if file.fd >= 0 { _ = raw_chmod_socket(file.fd, mode) }
        file.close()
        return 0
    }

    private func folderIsShared() -> Bool {
        var folder = Text()
        Settings.appendPath("/port", to: &folder)
        return folder.withCString { raw_mode($0) } & 0o022 == 0o020
    }

    /// Whether a socket still stands behind the path. A datagram socket asks, because the answer to it
    /// is "wrong type" if one does, listening or not, and a program that listens notices nothing.
    private func isAlive(_ address: UnixAddress) -> Bool {
        let probe = Temporary { raw_unix_datagram() }
        guard probe.fd >= 0 else { return true }
        let result = address.connect(probe.fd)
        probe.close()
        return result != -ECONNREFUSED && result != -ENOENT
    }

    private func explain(_ error: Int32) -> Int32 {
        var message = Text()
        message.append("ringway: cannot listen at ")
        ServicePath.append(service: service, family, to: &message)
        message.append(": error ")
        message.append(decimal: UInt64(-error))
        message.append("; the folder must exist and be writable")
        message.writeAsLine()
        return error == -EACCES || error == -EPERM ? -EACCES : -EADDRNOTAVAIL
    }
}

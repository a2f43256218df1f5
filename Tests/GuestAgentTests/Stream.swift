// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport
import Testing

/// Nothing came, or nothing could be sent, in the time that there is.
struct TimedOut: Error {}

/// The other end has gone.
struct Disconnected: Error {
    let error: Int32
}

/// A stream socket; no call waits longer than ``patience``.
final class Stream: Sendable {
    static let patience = 30.0
    private let fd: Int32

    init(_ fd: Int32) { self.fd = fd }

    init(connectedTo path: String) throws {
        fd = socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0)
        guard fd >= 0, withUnixAddress(path, { connect(fd, $0, $1) }) == 0 else {
            let failure = SystemFailure("connect to \(path)")
            close(fd)
            throw failure
        }
    }

    deinit { close(fd) }

    private func wait(_ events: Int32, _ deadline: Deadline) throws {
        while !deadline.isPast {
            var entry = pollfd(fd: fd, events: Int16(events), revents: 0)
            if poll(&entry, 1, 1000) > 0 { return }
        }
        throw TimedOut()
    }

    func waitForInput() throws { try wait(Int32(POLLIN), Deadline(seconds: Self.patience)) }

    /// Sends everything.
    func write(_ bytes: [UInt8]) throws {
        let deadline = Deadline(seconds: Self.patience)
        var done = 0
        while done < bytes.count {
            try wait(Int32(POLLOUT), deadline)
            let count = bytes.withUnsafeBytes {
                send(fd, $0.baseAddress! + done, bytes.count - done, cs_msg_nosignal() | cs_msg_dontwait())
            }
            if count < 0, cs_errno() == EAGAIN || cs_errno() == EINTR { continue }
            guard count > 0 else { throw Disconnected(error: cs_errno()) }
            done += count
        }
    }

    /// What comes next; empty at the end of the stream.
    func readSome(until deadline: Deadline = Deadline(seconds: patience)) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            try wait(Int32(POLLIN), deadline)
            let count = recv(fd, &buffer, buffer.count, cs_msg_dontwait())
            if count < 0, cs_errno() == EAGAIN || cs_errno() == EINTR { continue }
            guard count >= 0 else { throw Disconnected(error: cs_errno()) }
            return Array(buffer[..<count])
        }
    }

    /// Exactly so many bytes.
    func read(_ count: Int) throws -> [UInt8] {
        let deadline = Deadline(seconds: Self.patience)
        var all: [UInt8] = []
        while all.count < count {
            try wait(Int32(POLLIN), deadline)
            var buffer = [UInt8](repeating: 0, count: min(65_536, count - all.count))
            let got = recv(fd, &buffer, buffer.count, cs_msg_dontwait())
            if got < 0, cs_errno() == EAGAIN || cs_errno() == EINTR { continue }
            guard got > 0 else { throw Disconnected(error: got < 0 ? cs_errno() : 0) }
            all += buffer[..<got]
        }
        return all
    }

    /// Everything up to the orderly end of the stream.
    func readToEnd() throws -> [UInt8] {
        let deadline = Deadline(seconds: Self.patience)
        var all: [UInt8] = []
        while true {
            let part = try readSome(until: deadline)
            if part.isEmpty { return all }
            all += part
        }
    }

    /// Reads and discards until the other end has gone, however.
    func isClosed(seconds: Double) -> Bool {
        let deadline = Deadline(seconds: seconds)
        do {
            while try !readSome(until: deadline).isEmpty {}
            return true
        } catch { return error is Disconnected }
    }

    func finishWriting() { shutdown(fd, cs_shut_wr()) }
}

/// A listening socket of a service.
final class Listener: Sendable {
    private let fd: Int32
    private let path: String

    init(_ path: String, backlog: Int32) throws {
        self.path = path
        unlink(path)
        fd = socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0)
        guard fd >= 0, withUnixAddress(path, { bind(fd, $0, $1) }) == 0, listen(fd, backlog) == 0 else {
            let failure = SystemFailure("listen at \(path)")
            close(fd)
            throw failure
        }
    }

    deinit {
        close(fd)
        unlink(path)
    }

    func accept() throws -> Stream {
        guard Deadline(seconds: Stream.patience).wait(forInput: fd) else { throw TimedOut() }
        let stream = cs_accept(fd)
        guard stream >= 0 else { throw SystemFailure("accept at \(path)") }
        return Stream(stream)
    }

    /// Connects to itself until nobody can any more. - Returns: the connections, which nobody has accepted.
    func fillBacklog() throws -> [Stream] {
        var streams: [Stream] = []
        while streams.count < 1000 {
            let one = socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec() | cs_sock_nonblock(), 0)
            guard withUnixAddress(path, { connect(one, $0, $1) }) == 0 else {
                close(one)
                return streams
            }
            streams.append(Stream(one))
        }
        throw SystemFailure("filling the backlog of \(path)")
    }
}

private func withUnixAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    let length = cs_unix_address(&address, path)
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
    }
}

/// Runs closures side by side, and throws what the first of them threw that threw. The last one runs here, so that what
/// it expects is known to belong to this test; each of the others has a thread of its own.
func sideBySide(_ bodies: (@Sendable () throws -> Void)...) throws {
    let errors = Errors()
    let group = DispatchGroup()
    for body in bodies.dropLast() {
        group.enter()
        Thread.detachNewThread {
            do { try body() } catch { errors.add(error) }
            group.leave()
        }
    }
    do { try bodies.last?() } catch { errors.add(error) }
    group.wait()
    if let first = errors.first { throw first }
}

private final class Errors: @unchecked Sendable {
    private let lock = NSLock()
    private var all: [any Error] = []

    func add(_ error: any Error) { lock.withLock { all.append(error) } }
    var first: (any Error)? { lock.withLock { all.first } }
}

/// Random bytes, the same for the same seed.
func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var generator = SeededGenerator(seed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count { withUnsafeBytes(of: generator.next()) { bytes += $0 } }
    bytes.removeLast(bytes.count - count)
    return bytes
}

/// Compares long arrays. Not by #expect itself, which on a difference looks for the shortest way from one to the
/// other, for hours.
func expectSame(
    _ found: [UInt8], _ expected: [UInt8], _ comment: Comment? = nil, location: SourceLocation = #_sourceLocation
) {
    if found == expected { return }
    let place = zip(found, expected).enumerated().first { $1.0 != $1.1 }.map { "byte \($0.offset) is wrong" }
    Issue.record(
        "\(found.count) bytes of \(expected.count), \(place ?? "and those right"); \(comment ?? "")",
        sourceLocation: location)
}

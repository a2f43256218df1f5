// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import Synchronization
import TestSupport

/// Runs a closure in a thread of its own, which blocks as it likes.
func inThread(_ body: @escaping @Sendable () -> Void) {
    Thread.detachNewThread(body)
}

/// Sends back what arrives, until the other end stops sending; then closes.
func echo(_ stream: Int32, beforeClosing: () -> Void = {}) {
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = recv(stream, &buffer, buffer.count, 0)
        guard count > 0 else { break }
        var sent = 0
        while sent < count {
            let more = buffer.withUnsafeBytes {
                send(stream, $0.baseAddress! + sent, count - sent, Int32(cs_msg_nosignal()))
            }
            guard more > 0 else { break }
            sent += more
        }
    }
    beforeClosing()
    close(stream)
}

/// Says "hello" and reads what comes back.
func converse(_ stream: Int32) -> String {
    let text = Array("hello".utf8)
    var buffer = [UInt8](repeating: 0, count: 64)
    guard send(stream, text, text.count, Int32(cs_msg_nosignal())) == text.count else { return "cannot send" }
    let count = recv(stream, &buffer, buffer.count, 0)
    close(stream)
    return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
}

/// A TCP listener on a loopback port that the kernel chose: what the preload library is compared with.
final class TCPListener: Sendable {
    let port: UInt16
    private let fd: Int32

    init(_ family: IPFamily, backlog: Int32 = 64) throws {
        let listener = socket(family == .v4 ? AF_INET : AF_INET6, cs_sock_stream() | cs_sock_cloexec(), 0)
        guard listener >= 0 else { throw SystemFailure("socket") }
        var address = loopback(family, port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let size = family == .v4 ? socklen_t(MemoryLayout<sockaddr_in>.size) : length
        let isBound = withAddress(&address) { bind(listener, $0, size) == 0 && getsockname(listener, $0, &length) == 0 }
        guard isBound, listen(listener, backlog) == 0 else {
            close(listener)
            throw SystemFailure("listen on the loopback")
        }
        fd = listener
        port = UInt16(bigEndian: address.sin6_port)
    }

    /// Answers every connection by sending back what it says.
    func echoForEver() {
        let fd = self.fd
        inThread {
            while true {
                let stream = accept(fd, nil, nil)
                guard stream >= 0 else { return }
                inThread { echo(stream) }
            }
        }
    }

    deinit {
        shutdown(fd, cs_shut_rdwr())
        close(fd)
    }

    /// A port that nobody listens at now.
    static func freePort(_ family: IPFamily) throws -> UInt16 { try TCPListener(family).port }
}

/// Connects to a program's listener over TCP.
func connectTCP(_ family: IPFamily, port: UInt16) throws -> Int32 {
    let fd = socket(family == .v4 ? AF_INET : AF_INET6, cs_sock_stream() | cs_sock_cloexec(), 0)
    var address = loopback(family, port: port)
    let size = family == .v4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
    guard withAddress(&address, { connect(fd, $0, socklen_t(size)) }) == 0 else {
        defer { close(fd) }
        throw SystemFailure("connect to port \(port)")
    }
    return fd
}

/// Connects to a program's service as the agent does.
func connectService(_ runtimeDirectory: String, _ family: IPFamily, port: UInt16) throws -> Int32 {
    let fd = socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0)
    let path = "\(runtimeDirectory)/port/\(port).\(family.rawValue)"
    guard unixAddress(path, { connect(fd, $0, $1) }) == 0 else {
        defer { close(fd) }
        throw SystemFailure("connect to \(path)")
    }
    return fd
}

/// A service that sends back what it gets, at the path where the agent looks for a program's listener.
final class EchoService: Sendable {
    private let fd: Int32
    private let count = Atomic<Int>(0)

    init(_ directory: any RuntimeDirectory, port: UInt16) throws {
        fd = socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0)
        mkdir(directory.path + "/port", 0o700)
        let listener = fd
        guard unixAddress("\(directory.path)/port/\(port).4", { bind(listener, $0, $1) }) == 0, listen(fd, 64) == 0
        else { throw SystemFailure("listen at service \(port)") }
        inThread { [weak self] in
            while true {
                let stream = accept(listener, nil, nil)
                guard stream >= 0 else { return }
                self?.count.add(1, ordering: .relaxed)
                inThread { echo(stream) }
            }
        }
    }

    var connections: Int { count.load(ordering: .relaxed) }

    deinit {
        shutdown(fd, cs_shut_rdwr())
        close(fd)
    }
}

func unixAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    let length = cs_unix_address(&address, path)
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
    }
}

private func loopback(_ family: IPFamily, port: UInt16) -> sockaddr_in6 {
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(family == .v4 ? AF_INET : AF_INET6)
    address.sin6_port = port.bigEndian
    withUnsafeMutableBytes(of: &address) { bytes in
        if family == .v4 {
            bytes.storeBytes(of: UInt32(0x7F00_0001).bigEndian, toByteOffset: 4, as: UInt32.self)
        } else {
            bytes[23] = 1
        }
    }
    return address
}

private func withAddress<Result>(
    _ address: inout sockaddr_in6, _ body: (UnsafeMutablePointer<sockaddr>) -> Result
) -> Result {
    withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import Foundation
import TestSupport

/// The programs of the guest under attack, in a process of their own: port 7 sends back what comes, port 9 takes all
/// and sends noise, port 3240 is an exporter's.
final class Services {
    static let echo: UInt16 = 7
    static let noise: UInt16 = 9
    static let usb: UInt16 = 3240

    private let pid: pid_t

    init(_ folder: String) throws {
        let listeners = try [Self.echo, Self.noise, Self.usb].map { ($0, try Self.listen("\(folder)/port/\($0).4")) }
        let parent = getpid()
        pid = ct_fork()
        if pid == 0 {
            ct_limit_life(21_600)
            Self.serve(listeners, parent, Self.complaint(folder))
            ct_exit(0)
        }
        listeners.forEach { close($0.1) }
    }

    deinit { ct_kill(pid) }

    private static func listen(_ path: String) throws -> Int32 {
        let fd = socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec() | cs_sock_nonblock(), 0)
        var address = sockaddr_un()
        let length = cs_unix_address(&address, path)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(fd, $0, length) }
        }
        guard result == 0, CShim.listen(fd, 64) == 0 else { throw SystemFailure("listen at \(path)") }
        return fd
    }

    /// The file that says that a program got what it should not.
    static func complaint(_ folder: String) -> String { folder + "/wrong-bytes" }

    private final class Served {
        let port: UInt16
        let socket: Int32
        /// Of noise: the channel that its first byte names.
        var channel: UInt8?
        var device = USBDevice()

        init(_ port: UInt16, _ socket: Int32) { (self.port, self.socket) = (port, socket) }

        /// - Returns: false when bytes name another channel than those before.
        func takes(_ bytes: ArraySlice<UInt8>) -> Bool {
            let named = channel ?? bytes.first.map { $0 >> 4 }
            channel = named
            return bytes.allSatisfy { $0 >> 4 == named }
        }
    }

    private static func serve(_ listeners: [(UInt16, Int32)], _ parent: pid_t, _ complaint: String) {
        var streams: [Served] = []
        var room = [UInt8](repeating: 0x5A, count: 65536)
        while getppid() == parent {
            var list = (listeners.map(\.1) + streams.map(\.socket)).map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            poll(&list, nfds_t(list.count), 1000)
            for (index, entry) in list.enumerated().reversed() where entry.revents != 0 {
                if index < listeners.count {
                    let socket = cs_accept(entry.fd)
                    if socket >= 0 { streams.append(Served(listeners[index].0, socket)) }
                } else if !answer(streams[index - listeners.count], &room, complaint) {
                    close(streams.remove(at: index - listeners.count).socket)
                }
            }
        }
    }

    /// - Returns: false at the end of the stream.
    private static func answer(_ stream: Served, _ room: inout [UInt8], _ complaint: String) -> Bool {
        let count = recv(stream.socket, &room, room.count, cs_msg_dontwait())
        if count < 0, cs_errno() == EAGAIN { return true }
        guard count > 0 else { return false }
        let flags = cs_msg_dontwait() | cs_msg_nosignal()
        switch stream.port {
        case echo: _ = send(stream.socket, room, count, flags)
        case noise:
            if !stream.takes(room[..<count]) { close(creat(complaint, 0o600)) }
            _ = send(stream.socket, room, 1 + count % 4096, flags)
        default:
            // What comes here has passed the guard.
            guard let answers = stream.device.answer(room[..<count]) else {
                close(creat(complaint, 0o600))
                return false
            }
            if !answers.isEmpty, send(stream.socket, answers, answers.count, flags) != answers.count { return false }
        }
        return true
    }
}

/// USB/IP's bytes, as the document has them.
enum USBBytes {
    static let busID: [UInt8] = Array("1-1".utf8) + [UInt8](repeating: 0, count: 29)
    static let requestImport: [UInt8] = [1, 0x11, 0x80, 3, 0, 0, 0, 0] + busID
    static let replyImport: [UInt8] =
        [1, 0x11, 0, 3, 0, 0, 0, 0] + Array("/sys/1-1".utf8) + [UInt8](repeating: 0, count: 248) + busID
        + [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x46, 0xF4, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1]

    /// A PDU with any values in it.
    static func header(_ random: inout SeededGenerator, command: UInt32) -> [UInt8] {
        let edges: [UInt32] = [0, 1, 2, 8, 48, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x0004_0000, 1025]
        var words: [UInt32] = [command, UInt32.random(in: 1...3, using: &random), command < 3 ? 0x0001_0002 : 0, 0, 0]
        words[3] = UInt32.random(in: 0...2, using: &random)
        words[4] = UInt32.random(in: 0...16, using: &random)
        while words.count < 12 { words.append(edges[Int.random(in: 0..<edges.count, using: &random)]) }
        return words.flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } }
    }
}

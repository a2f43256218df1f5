// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import Foundation
import TestSupport
import Testing

@testable import GuestAgent

/// CONNECT_STREAM: a program brings one end of its connection, and sees in the name of that end what became of it.
@Suite(.serialized) struct StreamRequestTests {
    private static let port: UInt16 = 12

    /// A request on its way, and the program's end of the connection.
    private struct Request {
        let mine: Stream
        let fd: Int32
        /// nil when the program does not wait for the answer.
        var control: Stream?

        /// - Parameters:
        ///   - filling: bytes that are in the connection.  - said: how many of them the agent is told of.
        init(_ guests: Guests, filling: Int = 100_000, said: Int? = nil, waits: Bool = true) throws {
            var pair: [Int32] = [-1, -1]
            guard socketpair(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0, &pair) == 0 else {
                throw SystemFailure("socketpair")
            }
            fd = pair[0]
            mine = Stream(fd)
            defer { close(pair[1]) }
            try mine.write([UInt8](repeating: 0, count: filling))
            control = try Self.send(guests, pair[1], said ?? filling)
            if !waits { control = nil }
        }

        static func send(_ guests: Guests, _ descriptor: Int32, _ said: Int) throws -> Stream {
            let control = LocalSocket.connect(guests.runtime(.a) + "/agent.sock")
            let request = ControlProtocol.request(
                .init(operation: .connectStream, port: port, flags: UInt32(said)))
            guard ct_send_with(control, request, request.count, descriptor) == request.count else {
                throw SystemFailure("the request")
            }
            return Stream(control)
        }

        /// The name of the agent's end, up to its number; nil as long as it has none.
        var name: String? {
            var address = sockaddr_un()
            var length = socklen_t(MemoryLayout<sockaddr_un>.size)
            let result = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(fd, $0, &length) }
            }
            guard result == 0, length > 3 else { return nil }
            let bytes = withUnsafeBytes(of: &address.sun_path) { Array($0[1..<(Int(length) - 2)]) }
            return String(decoding: bytes, as: UTF8.self).split(separator: "/").first.map(String.init)
        }

        /// Waits until it has one.
        func outcome() throws -> String? {
            let deadline = Deadline(seconds: Guests.patience)
            while name == nil, !deadline.isPast {
                var entry = pollfd(fd: fd, events: Int16(POLLOUT), revents: 0)
                poll(&entry, 1, 100)
            }
            return name
        }

        func result() throws -> Int32? { try ControlProtocol.parseReply(control?.read(16) ?? [])?.result }
    }

    private func converse(_ request: Request, _ service: Stream) throws {
        try request.mine.write([1, 2, 3])
        #expect(try service.read(3) == [1, 2, 3])
        try service.write([4])
        #expect(try request.mine.read(1) == [4])
    }

    @Test("it is made: room, a name, and none of what filled it", arguments: Setting.all, [true, false])
    func made(_ setting: Setting, waits: Bool) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let listener = try guests.listen(.b, port: Self.port)
        let request = try Request(guests, waits: waits)
        let service = try listener.accept()
        if waits { #expect(try request.result() == 0) }
        #expect(try request.outcome() == "ringway+")
        try converse(request, service)
    }

    @Test("it is not made: its end is gone, and says why", arguments: Setting.withDoorbells, [true, false])
    func refused(_ setting: Setting, waits: Bool) throws {
        let guests = try Guests(setting)
        // No link yet.
        try guests.startAndWait(.a)
        let early = try Request(guests, waits: waits)
        if waits { #expect(try early.result() == EHOSTUNREACH) }
        #expect(try early.outcome() == "ringway-\(EHOSTUNREACH)")
        try guests.start(.b)
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let request = try Request(guests, waits: waits)
        if waits { #expect(try request.result() == ECONNREFUSED) }
        #expect(try request.outcome() == "ringway-\(ECONNREFUSED)")
        #expect(request.mine.isClosed(seconds: Guests.patience))
    }

    @Test("who lies about what fills it, or brings nothing, loses nobody else's", arguments: Setting.withDoorbells)
    func lies(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let listener = try guests.listen(.b, port: Self.port)
        #expect(
            try guests.ask(
                .a, ControlProtocol.request(.init(operation: .connectStream, port: Self.port, flags: 0))
            ).result == EBADF)
        let (more, first) = try made(guests, listener, filling: 10, said: 0x7FFF_FFFF)
        try converse(more, first)
        // No socket at all.
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        _ = try Request.send(guests, ends[0], 5)
        for end in ends { close(end) }
        #expect(try listener.accept().isClosed(seconds: Guests.patience))
        // What the agent was not told of is data.
        let (less, second) = try made(guests, listener, filling: 10, said: 4)
        #expect(try second.read(6) == [0, 0, 0, 0, 0, 0])
        try converse(less, second)
        try converse(more, first)
    }

    /// A connection that must come about, once the channel of one that has just ended is free.
    private func made(
        _ guests: Guests, _ listener: Listener, filling: Int, said: Int
    ) throws -> (Request, Stream) {
        let deadline = Deadline(seconds: Guests.patience)
        while true {
            let request = try Request(guests, filling: filling, said: said)
            if try request.result() == 0 { return (request, try listener.accept()) }
            try #require(!deadline.isPast)
        }
    }

    @Test("programs that leave at any step leave nothing behind", arguments: Setting.withDoorbells)
    func leaving(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let listener = try guests.listen(.b, port: Self.port)
        let child = try #require(try guests.agent(.a).children.first)
        func descriptors() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/\(child)/fd").count
        }
        let before = try descriptors()
        for step in 0..<40 {
            // Half a request, with its descriptor; a whole one; one whose end is gone as well.
            if step % 4 == 0 {
                let control = LocalSocket.connect(guests.runtime(.a) + "/agent.sock")
                let request = ControlProtocol.request(.init(operation: .connectStream, port: Self.port, flags: 0))
                var pair: [Int32] = [-1, -1]
                try #require(socketpair(AF_UNIX, cs_sock_stream(), 0, &pair) == 0)
                for _ in 0..<2 { _ = ct_send_with(control, request, 3, pair[1]) }
                for fd in pair + [control] { close(fd) }
            } else {
                _ = try? Request(guests, waits: step % 4 == 1)
            }
        }
        // Those that got through are there, and end.
        let deadline = Deadline(seconds: Guests.patience)
        while try descriptors() != before, !deadline.isPast {
            if Deadline(seconds: 0).wait(forInput: listener.descriptor) { _ = try listener.accept() }
        }
        #expect(try descriptors() == before)
        let request = try Request(guests)
        try converse(request, listener.accept())
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import Foundation
import TestSupport
import Testing

@testable import GuestAgent

/// BEGIN: a program gets its stream at once, and sees by the room in it and by its peer's name what becomes of it.
@Suite(.serialized) struct BeginTests {
    private static let port: UInt16 = 12

    /// A program's end of a connection that was begun.
    private struct Begun {
        let stream: Stream
        let fd: Int32

        /// - Throws: when the agent gives no stream.
        init(_ guests: Guests) throws {
            let control = LocalSocket.connect(guests.runtime(.a) + "/agent.sock")
            defer { close(control) }
            let request = ControlProtocol.request(.init(operation: .begin, port: port, flags: 0))
            guard control >= 0, send(control, request, request.count, 0) == request.count else {
                throw SystemFailure("asking the agent")
            }
            var entry = pollfd(fd: control, events: Int16(POLLIN), revents: 0)
            poll(&entry, 1, Int32(Guests.patience * 1000))
            var reply = [UInt8](repeating: 0, count: 16)
            var received: Int32 = -1
            guard ct_receive(control, &reply, 16, &received) == 16, received >= 0,
                ControlProtocol.parseReply(reply)?.result == 0
            else { throw SystemFailure("the answer, which is \(reply)") }
            fd = received
            stream = Stream(received)
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

        /// What is there for poll.
        func events(milliseconds: Int32 = 0) -> Int32 {
            var entry = pollfd(fd: fd, events: Int16(POLLIN) | Int16(POLLOUT), revents: 0)
            poll(&entry, 1, milliseconds)
            return Int32(entry.revents)
        }

        /// Waits until it has a name.
        func outcome() -> String? {
            let deadline = Deadline(seconds: Guests.patience)
            while name == nil, !deadline.isPast { _ = events(milliseconds: 100) }
            return name
        }
    }

    private func converse(_ begun: Begun, _ service: Stream) throws {
        _ = begun.events(milliseconds: Int32(Guests.patience * 1000))
        try begun.stream.write([1, 2, 3])
        #expect(try service.read(3) == [1, 2, 3])
        try service.write([4])
        #expect(try begun.stream.read(1) == [4])
    }

    @Test("it is made: room, none of what filled it, and at its end a name", arguments: Setting.all)
    func made(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let listener = try guests.listen(.b, port: Self.port)
        let begun = try Begun(guests)
        let service = try listener.accept()
        try converse(begun, service)
        #expect(begun.name == nil)
        service.finishWriting()
        #expect(begun.outcome() == "ringway+000")
        // An end, and none of its own yet.
        #expect(try begun.stream.readToEnd().isEmpty)
        try begun.stream.write([5])
        #expect(try service.read(1) == [5])
    }

    @Test("an end in order has its name at either side, a reset has none", arguments: Setting.withDoorbells)
    func ends(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let listener = try guests.listen(.b, port: Self.port)
        let begun = try Begun(guests)
        try converse(begun, listener.accept())
        // The service is gone, and has read all: that is an end. What comes behind it is a reset, and changes nothing.
        #expect(begun.outcome() == "ringway+000")
        try begun.stream.write([6])
        #expect(begun.stream.isClosed(seconds: Guests.patience))
        let other = try Begun(guests)
        var service: Stream? = try listener.accept()
        try service.map { try converse(other, $0) }
        try other.stream.write([7])
        try service?.waitForInput()
        service = nil
        #expect(other.stream.isClosed(seconds: Guests.patience))
        #expect(other.events() & POLLHUP != 0 && other.name == nil)
    }

    @Test("it is not made: its end is gone, and says why", arguments: Setting.withDoorbells)
    func refused(_ setting: Setting) throws {
        let guests = try Guests(setting)
        // Without a link there is no stream.
        try guests.startAndWait(.a)
        let request = ControlProtocol.request(.init(operation: .begin, port: Self.port, flags: 0))
        #expect(try guests.ask(.a, request).result == EHOSTUNREACH)
        try guests.start(.b)
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let begun = try Begun(guests)
        #expect(begun.outcome() == "ringway-\(ECONNREFUSED)")
        _ = begun.events(milliseconds: Int32(Guests.patience * 1000))
        var error: Int32 = 0
        var length: socklen_t = 4
        getsockopt(begun.fd, SOL_SOCKET, SO_ERROR, &error, &length)
        #expect(error == ECONNRESET)
    }

    /// The peer's agent is stopped by a signal, so nobody answers.
    @Test("as long as the peer has not answered there is neither name nor room", arguments: Setting.withDoorbells)
    func unanswered(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let peer = try #require(try guests.agent(.b).children.first)
        let listener = try guests.listen(.b, port: Self.port)
        kill(peer, SIGSTOP)
        let begun = try Begun(guests)
        // A question later it is no other.
        _ = try guests.status(.a)
        #expect(begun.name == nil && begun.events() == 0)
        kill(peer, SIGCONT)
        try converse(begun, listener.accept())
    }

    @Test("programs that leave before the answer leave nothing behind", arguments: Setting.withDoorbells)
    func leaving(_ setting: Setting) throws {
        let guests = try Guests(setting)
        // Neither the patience with a peer that does not answer nor the one with a silent peer ends it.
        try guests.start(.a, ["--connect-timeout-ms=600000", "--heartbeat-misses=1000"])
        try guests.start(.b)
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let listener = try guests.listen(.b, port: Self.port)
        let (own, peer) = try (
            #require(try guests.agent(.a).children.first), #require(try guests.agent(.b).children.first)
        )
        func descriptors() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/\(own)/fd").count
        }
        let deadline = Deadline(seconds: Guests.patience)
        // A question later what was closed is seen.
        func has(_ count: Int) throws -> Bool {
            while try descriptors() != count, !deadline.isPast { _ = try guests.status(.a) }
            return try descriptors() == count
        }
        let before = try descriptors()
        kill(peer, SIGSTOP)
        // One of them for each channel that side a may open.
        var begun: [Begun] = []
        while let next = try? Begun(guests) { begun.append(next) }
        #expect(begun.count > 1)
        #expect(try has(before + begun.count))
        begun = []
        // Without an answer of the peer's.
        #expect(try has(before))
        kill(peer, SIGCONT)
        // The channels are free again when the peer has seen it.
        var last: Begun?
        while last == nil, !deadline.isPast { last = try? Begun(guests) }
        let connection = try #require(last)
        _ = connection.events(milliseconds: Int32(Guests.patience * 1000))
        #expect(connection.name == nil)
        var service = try listener.accept()
        // Those that got through before it are there, and have ended.
        while service.isClosed(seconds: 0) { service = try listener.accept() }
        try converse(connection, service)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import Foundation
import TestSupport

/// Stands where the agent's control socket is, and answers in one way.
final class FakeAgent: RuntimeDirectory, Sendable {
    enum Answer: Sendable {
        /// Accepts, and sends back what arrives.
        case echo
        case refuse(Int32, String)
        /// Accepts a connection that was begun when the program waits for it.
        case whenWaiting
        /// Accepts, and sends so many bytes right behind the reply.
        case greet(String)
        case hangUp
        /// Accepts, but has no stream to give.
        case noStream
        /// Begins a connection, and dies.
        case vanish
        case garbage
        /// Takes the request and says nothing.
        case silence
        /// Takes no connection at all: a stopped agent with a full queue.
        case stopped
    }

    private let folder: ScratchFolder
    private let fd: Int32
    private let recorded = Recorder()

    init(_ answer: Answer) throws {
        folder = try ScratchFolder()
        fd = socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0)
        let path = folder.path + "/agent.sock"
        guard unixAddress(path, { bind(fd, $0, $1) }) == 0 else { throw SystemFailure("bind of \(path)") }
        if case .stopped = answer {
            // A queue of one, and somebody in it.
            guard listen(fd, 0) == 0 else { throw SystemFailure("listen at \(path)") }
            let first = socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0)
            guard unixAddress(path, { connect(first, $0, $1) }) == 0 else { throw SystemFailure("connect to \(path)") }
            return
        }
        guard listen(fd, 64) == 0 else { throw SystemFailure("listen at \(path)") }
        let listener = fd
        let recorded = self.recorded
        inThread {
            while true {
                let stream = accept(listener, nil, nil)
                guard stream >= 0 else { return }
                inThread { Self.serve(stream, answer, recorded) }
            }
        }
    }

    deinit {
        shutdown(fd, cs_shut_rdwr())
        close(fd)
    }

    var path: String { folder.path }

    /// The requests so far, each as (magic, operation, port, flags, zero).
    var requests: [[UInt32]] { recorded.requests }

    private static func serve(_ stream: Int32, _ answer: Answer, _ recorded: Recorder) {
        var request = [UInt8](repeating: 0, count: 16)
        guard recv(stream, &request, 16, Int32(MSG_WAITALL)) == 16 else {
            close(stream)
            return
        }
        recorded.add(request)
        if request[4] == 4 { return begin(stream, answer) }
        switch answer {
        case .echo, .whenWaiting, .noStream:
            reply(stream, result: 0, text: "")
            echo(stream)
        case .greet(let text):
            // One write: the program must find its bytes where the reply ends.
            reply(stream, result: 0, text: "", followedBy: text)
            echo(stream)
        case .refuse(let error, let text):
            reply(stream, result: error, text: text)
            close(stream)
        case .hangUp, .vanish:
            close(stream)
        case .garbage:
            _ = send(stream, [UInt8](repeating: 0x5A, count: 64), 64, Int32(cs_msg_nosignal()))
            close(stream)
        case .silence, .stopped:
            _ = recv(stream, &request, 1, 0)
            close(stream)
        }
    }

    /// BEGIN: a stream without room at once, and the answer in its name.
    private static func begin(_ control: Int32, _ answer: Answer) {
        defer { close(control) }
        switch answer {
        case .hangUp: return
        case .noStream: return Self.reply(control, result: ETOOMANYREFS, text: "")
        case .refuse(let error, let text) where !text.isEmpty:
            return Self.reply(control, result: error, text: text)
        case .garbage:
            _ = send(control, [UInt8](repeating: 0x5A, count: 64), 64, Int32(cs_msg_nosignal()))
            return
        case .stopped: return
        default: break
        }
        let reply = bytes(result: 0, text: "")
        var filled: Int32 = 0
        var room = [UInt8](repeating: 0, count: 65536)
        let stream = cs_give_full_stream(control, reply, reply.count, room, room.count, &filled)
        guard stream >= 0 else { return }
        switch answer {
        case .refuse(let error, _):
            _ = cs_name_outcome(stream, UInt32(error))
            close(stream)
            return
        case .vanish:
            close(stream)
            return
        case .silence:
            // Until the program is gone.
            var entry = pollfd(fd: stream, events: 0, revents: 0)
            poll(&entry, 1, -1)
            close(stream)
            return
        case .whenWaiting: waitForPoll(of: control, stream)
        default: break
        }
        _ = fcntl(stream, F_SETFL, 0)
        while filled > 0 { filled -= Int32(recv(stream, &room, min(room.count, Int(filled)), 0)) }
        if case .greet(let text) = answer { _ = send(stream, text, text.utf8.count, Int32(cs_msg_nosignal())) }
        echo(stream) { _ = cs_name_outcome(stream, 0) }
    }

    /// Until the program at the other end is in ppoll(2), which the kernel says in /proc/PID/syscall, or gone.
    private static func waitForPoll(of control: Int32, _ stream: Int32) {
        var (pid, user, group): (Int32, UInt32, UInt32) = (0, 0, 0)
        _ = cs_peer_credentials(control, &pid, &user, &group)
        let call = "\(ct_call_number("ppoll")) "
        var entry = pollfd(fd: stream, events: 0, revents: 0)
        while poll(&entry, 1, 0) == 0 {
            let text = try? String(contentsOfFile: "/proc/\(pid)/syscall", encoding: .utf8)
            if text?.hasPrefix(call) == true { return }
            sched_yield()
        }
    }

    private static func reply(_ stream: Int32, result: Int32, text: String, followedBy more: String = "") {
        let bytes = bytes(result: result, text: text) + Array(more.utf8)
        _ = send(stream, bytes, bytes.count, Int32(cs_msg_nosignal()))
    }

    private static func bytes(result: Int32, text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for word in [0x3143_5752, UInt32(result), UInt32(text.utf8.count), 0] {
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
        }
        return bytes + Array(text.utf8)
    }
}

private final class Recorder: @unchecked Sendable {
    private let lock = NSLock()
    private var bytes: [[UInt8]] = []

    func add(_ request: [UInt8]) { lock.withLock { bytes.append(request) } }

    var requests: [[UInt32]] {
        lock.withLock { bytes }.map { request in
            func number(_ offset: Int, _ size: Int) -> UInt32 {
                (0..<size).reduce(0) { $0 | UInt32(request[offset + $1]) << (8 * $1) }
            }
            return [number(0, 4), number(4, 2), number(6, 2), number(8, 4), number(12, 4)]
        }
    }
}

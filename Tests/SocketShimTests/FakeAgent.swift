// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport

/// Stands where the agent's control socket is, and answers in one way.
final class FakeAgent: RuntimeDirectory, Sendable {
    enum Answer: Sendable {
        /// Accepts, and sends back what arrives.
        case echo
        case refuse(Int32, String)
        /// Accepts, and sends so many bytes right behind the reply.
        case greet(String)
        case hangUp
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
        switch answer {
        case .echo:
            reply(stream, result: 0, text: "")
            echo(stream)
        case .greet(let text):
            // One write: the program must find its bytes where the reply ends.
            reply(stream, result: 0, text: "", followedBy: text)
            echo(stream)
        case .refuse(let error, let text):
            reply(stream, result: error, text: text)
            close(stream)
        case .hangUp:
            close(stream)
        case .garbage:
            _ = send(stream, [UInt8](repeating: 0x5A, count: 64), 64, Int32(cs_msg_nosignal()))
            close(stream)
        case .silence, .stopped:
            _ = recv(stream, &request, 1, 0)
            close(stream)
        }
    }

    private static func reply(_ stream: Int32, result: Int32, text: String, followedBy more: String = "") {
        var bytes: [UInt8] = []
        for word in [0x3143_5752, UInt32(result), UInt32(text.utf8.count), 0] {
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
        }
        bytes += Array(text.utf8) + Array(more.utf8)
        _ = send(stream, bytes, bytes.count, Int32(cs_msg_nosignal()))
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

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// What a command asks of the running agent.
struct AgentClient {
    var runtimeDirectory = "/run/ringway"

    /// A stream to a service of the peer.
    struct Connection {
        let socket: Int32
        let channel: UInt32
    }

    /// Opens a channel to a service port of the peer.
    /// - Throws: 69 when no agent runs, the peer is not there, or nobody listens.
    func connect(port: UInt16, milliseconds: Int = 15_000) throws(Diagnostic) -> Connection {
        let tried = compose("connecting to port \(port) of the peer")
        let socket = try open(runtimeDirectory + "/agent.sock", tried)
        let stream = StreamIO(socket, milliseconds: milliseconds)
        do throws(StreamFailure) {
            try stream.send(ControlProtocol.request(.init(operation: .connect, port: port, flags: 0)))
            var reply: [UInt8] = []
            while reply.count < ControlProtocol.size {
                reply += try stream.receive(atMost: ControlProtocol.size - reply.count)
            }
            if let answer = ControlProtocol.parseReply(reply), answer.result == 0 {
                return Connection(socket: socket, channel: answer.channel)
            }
            throw .failed(ControlProtocol.parseReply(reply)?.result ?? EPROTO)
        } catch {
            close(socket)
            // A channel that was in use a moment ago is free when the peer has seen its end.
            throw Diagnostic(
                .unavailable, "\(tried): \(Self.explain(error))", mayPass: error == .failed(EADDRNOTAVAIL))
        }
    }

    /// What to do about each way in which connecting fails.
    private static func explain(_ failure: StreamFailure) -> String {
        switch failure {
        case .failed(ECONNREFUSED):
            return "nothing listens there; on the other side `ringway export`, or start usbipd under `ringway run`"
        case .failed(EHOSTUNREACH): return "the link is not up; `ringway status` says why"
        case .failed(EADDRNOTAVAIL):
            return "every channel that this side may open is in use; raise `channels` on both sides"
        case .failed(ETIMEDOUT), .timedOut: return "the peer did not answer in time; look at its agent's log"
        default: return failure.sentence + "; look at the agent's log"
        }
    }

    /// Asks the data path; its answer is a text.
    /// - Throws: 69 when no agent runs or it does not answer, 76 when its answer is none.
    func askAgent(
        _ operation: ControlProtocol.Operation, port: UInt16 = 0, flags: UInt32 = 0, milliseconds: Int = 5000
    ) throws(Diagnostic) -> [UInt8] {
        let path = runtimeDirectory + "/agent.sock"
        let tried = compose("asking the agent at \(path)")
        let request = ControlProtocol.request(.init(operation: operation, port: port, flags: flags))
        let bytes = try exchange(path, tried, request, milliseconds)
        guard let reply = ControlProtocol.parseReply(bytes), reply.result == 0,
            bytes.count == ControlProtocol.size + reply.length
        else { throw Diagnostic(.badProtocol, "\(tried): its answer was cut short; look at the agent's log") }
        return Array(bytes[ControlProtocol.size...])
    }

    /// Asks the device manager; its answer is an exit code and a text.
    func ask(_ request: String, milliseconds: Int = 30_000) throws(Diagnostic) -> (code: ExitCode, text: String) {
        let tried = compose("asking the agent to \(request)")
        let bytes = try exchange(
            runtimeDirectory + "/devices.sock", tried, (request + "\n").copyBytes(), milliseconds)
        guard let parts = String(bytes: bytes[...]).cut(at: "\n"),
            let code = number(parts.before, in: 0...255).flatMap({ ExitCode(rawValue: Int32($0)) })
        else { throw Diagnostic(.unavailable, "\(tried): its answer was cut short; look at the agent's log") }
        return (code, parts.behind)
    }

    /// Sends a request, and takes all that comes.
    @inline(never)
    private func exchange(
        _ path: String, _ tried: String, _ request: [UInt8], _ milliseconds: Int
    ) throws(Diagnostic) -> [UInt8] {
        let socket = try open(path, tried)
        defer { close(socket) }
        let stream = StreamIO(socket, milliseconds: milliseconds)
        do throws(StreamFailure) {
            try stream.send(request)
            return try stream.receiveAll(atMost: 1 << 20)
        } catch {
            throw Diagnostic(.unavailable, "\(tried): \(error.sentence); look at the agent's log")
        }
    }

    private func open(_ path: String, _ tried: String) throws(Diagnostic) -> Int32 {
        let socket = LocalSocket.connect(path)
        if socket >= 0 { return socket }
        let error = cs_errno()
        if error == ENOENT || error == ECONNREFUSED {
            throw Diagnostic(.unavailable, "\(tried): no agent is running; start `ringway agent`")
        }
        throw Diagnostic.system(Message(tried), error, "run as the agent's user")
    }
}

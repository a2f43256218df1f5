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
            throw Diagnostic(.unavailable, "\(tried): \(Self.explain(error))")
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
    func askAgent(_ operation: ControlProtocol.Operation, port: UInt16 = 0) throws(Diagnostic) -> [UInt8] {
        let tried = "asking the agent"
        let socket = try open(runtimeDirectory + "/agent.sock", tried)
        defer { close(socket) }
        let stream = StreamIO(socket, milliseconds: 5000)
        do throws(StreamFailure) {
            try stream.send(ControlProtocol.request(.init(operation: operation, port: port, flags: 0)))
            let bytes = try stream.receiveAll(atMost: 1 << 20)
            guard let reply = ControlProtocol.parseReply(bytes), reply.result == 0,
                bytes.count == ControlProtocol.size + reply.length
            else { throw .closed }
            return Array(bytes[ControlProtocol.size...])
        } catch {
            throw Diagnostic(.unavailable, "\(tried): \(error.sentence); look at its log")
        }
    }

    /// Asks the device manager; its answer is an exit code and a text.
    func ask(_ request: String, milliseconds: Int = 30_000) throws(Diagnostic) -> (code: ExitCode, text: String) {
        let tried = compose("asking the agent to \(request)")
        let socket = try open(runtimeDirectory + "/devices.sock", tried)
        defer { close(socket) }
        let stream = StreamIO(socket, milliseconds: milliseconds)
        do throws(StreamFailure) {
            try stream.send((request + "\n").copyBytes())
            let bytes = try stream.receiveAll(atMost: 1 << 20)
            guard let parts = String(bytes: bytes[...]).cut(at: "\n"),
                let code = number(parts.before, in: 0...255).flatMap({ ExitCode(rawValue: Int32($0)) })
            else { throw .closed }
            return (code, parts.behind)
        } catch {
            throw Diagnostic(.unavailable, "\(tried): \(error.sentence); look at the agent's log")
        }
    }

    private func open(_ path: String, _ tried: String) throws(Diagnostic) -> Int32 {
        let socket = LocalSocket.connect(path)
        if socket >= 0 { return socket }
        let error = cs_errno()
        if error == ENOENT || error == ECONNREFUSED {
            throw Diagnostic(.unavailable, "\(tried): no agent is running (\(path)); start `ringway agent`")
        }
        throw Diagnostic.system(Message(tried), error, "run as the agent's user")
    }
}

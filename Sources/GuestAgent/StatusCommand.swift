// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// `ringway status`: asks the running agent.
struct StatusCommand {
    var runtimeDirectory = "/run/ringway"
    var json = false

    static func parse(_ arguments: [String]) throws(Diagnostic) -> StatusCommand {
        var command = StatusCommand()
        var i = 0
        while i < arguments.count {
            switch arguments[i] {
            case "--json": command.json = true
            case "--runtime-dir" where i + 1 < arguments.count:
                i += 1
                command.runtimeDirectory = arguments[i]
            default: throw unexpected(arguments[i], "status")
            }
            i += 1
        }
        return command
    }

    func execute() throws(Diagnostic) -> ExitCode {
        let path = runtimeDirectory + "/agent.sock"
        let socket = LocalSocket.connect(path)
        guard socket >= 0 else {
            let error = cs_errno()
            if error == ENOENT || error == ECONNREFUSED {
                throw Diagnostic(
                    .unavailable, "asking the agent at \(path): no agent is running; start `ringway agent`")
            }
            throw Diagnostic.system("asking the agent at \(path)", error, "run as the agent's user")
        }
        defer { close(socket) }
        _ = cs_fcntl_int(socket, F_SETFL, 0)
        let request = ControlProtocol.request(
            .init(operation: .status, port: 0, flags: json ? ControlProtocol.flagJSON : 0))
        let sent = request.withUnsafeBufferPointer { Output.writeAll(socket, UnsafeRawBufferPointer($0)) }
        let reply = Self.readAll(socket)
        guard sent, let following = ControlProtocol.parseReply(reply), following.result == 0,
            reply.count == ControlProtocol.size + following.length
        else {
            throw Diagnostic(
                .badProtocol, "asking the agent at \(path): its answer was cut short; look at the agent's log")
        }
        let text = String(decoding: reply[ControlProtocol.size...], as: UTF8.self)
        return Output.result(text) ? .success : .ioError
    }

    private static func readAll(_ fd: Int32) -> [UInt8] {
        var all: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = part.withUnsafeMutableBufferPointer { read(fd, $0.baseAddress, $0.count) }
            if count < 0, cs_errno() == EINTR { continue }
            if count <= 0 { return all }
            all += part[0..<count]
        }
    }
}

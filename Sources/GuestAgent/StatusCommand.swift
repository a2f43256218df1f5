// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// `ringway status`: asks the running agent.
struct StatusCommand {
    var runtimeDirectory = "/run/ringway"
    var json = false

    @inline(never)
    static func parse(_ arguments: [String]) throws(Diagnostic) -> StatusCommand {
        var command = StatusCommand()
        var i = 0
        while i < arguments.count {
            switch arguments[i] {
            case "--json": command.json = true
            case "--runtime-dir" where i + 1 < arguments.count:
                i += 1
                guard Configuration.isRuntimeDirectory(arguments[i]) else {
                    throw Diagnostic(
                        .usage,
                        "status: --runtime-dir \(arguments[i]) must be \(Configuration.runtimeDirectoryForm)")
                }
                command.runtimeDirectory = arguments[i]
            default: throw unexpected(arguments[i], "status")
            }
            i += 1
        }
        return command
    }

    @inline(never)
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
        let reply: [UInt8]
        switch Self.readAll(socket) {
        case .success(let bytes): reply = bytes
        case .failure(let failure):
            guard failure.error == ETIMEDOUT else {
                throw Diagnostic.system("asking the agent at \(path)", failure.error, "look at the agent's log")
            }
            throw Diagnostic(
                .unavailable,
                "asking the agent at \(path): no answer within \(Self.patienceMilliseconds / 1000) s; "
                    + "look at the agent's log, and whether it is stopped")
        }
        guard sent, let following = ControlProtocol.parseReply(reply), following.result == 0,
            reply.count == ControlProtocol.size + following.length
        else {
            throw Diagnostic(
                .badProtocol, "asking the agent at \(path): its answer was cut short; look at the agent's log")
        }
        let text = String(bytes: reply[ControlProtocol.size...])
        return Output.result(text) ? .success : .ioError
    }

    /// More than the agent waits for the kernel's part of the report.
    private static let patienceMilliseconds: Int32 = 15_000

    /// Everything up to the end of the stream.
    private static func readAll(_ fd: Int32) -> Result<[UInt8], FileFailure> {
        var all: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            var waiting = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
            let ready = poll(&waiting, 1, patienceMilliseconds)
            if ready == 0 { return .failure(FileFailure(error: ETIMEDOUT)) }
            let count =
                ready < 0 ? -1 : part.withUnsafeMutableBufferPointer { read(fd, $0.baseAddress, $0.count) }
            if count < 0, cs_errno() == EINTR { continue }
            if count < 0 { return .failure(FileFailure(error: cs_errno())) }
            if count == 0 { return .success(all) }
            all += part[0..<count]
        }
    }
}

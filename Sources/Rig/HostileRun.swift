// SPDX-License-Identifier: Apache-2.0
import Foundation

/// `HostilePeer` in the place of a guest: it takes part in the shared region as a virtual machine does, attacks the
/// agent of the other one, and asks over a socket what can be seen in that guest only.
struct HostileRun {
    let program: URL
    let folder: RunFolder
    /// Runs a script in the attacked guest.
    let ask: (String) throws -> String

    /// What each question is, as a script.
    private static let questions = [
        "status": "ringway status --json", "pass": "ringway status >/dev/null; ringway status >/dev/null",
        "programs": "ls /tmp/wrong-bytes 2>/dev/null; true",
        "memory": "grep -h VmRSS $(pidof ringway | tr ' ' '\\n' | sed 's,.*,/proc/&/status,') | tr -s '\\t \\n' ' '",
        // Of a long run it has megabytes, which a console takes minutes for.
        "log": "grep -aE 'AddressSanitizer|Fatal error' /tmp/agent.log; tail -n 1000 /tmp/agent.log",
    ]

    /// - Returns: what the program reports.
    /// - Throws: where it ends with another status than 0: with what it has said.
    func run(mutations: Int, seed: UInt64) throws -> String {
        let path = folder.socket("questions")
        let output = folder.logs.appendingPathComponent("hostile.txt")
        let listener = try UnixSocket.listen(at: path)
        let child = try ChildProcess(
            program, ["guest", folder.socket("ivshmem"), path, "\(mutations)", "\(seed)"], output: output)
        defer { child.kill() }
        guard listener.waitReadable(.seconds(10)), let socket = listener.accept() else {
            throw failure("it does not begin", output)
        }
        try answer(socket)
        guard child.wait() == 0 else { throw failure("seed \(seed)", output) }
        return try String(contentsOf: output, encoding: .utf8)
    }

    /// Until the program ends.
    private func answer(_ socket: UnixSocket) throws {
        var line: [UInt8] = []
        while socket.waitReadable(.seconds(3600)), let bytes = socket.receive(), !bytes.isEmpty {
            line += bytes
            guard line.last == UInt8(ascii: "\n") else { continue }
            let word = String(decoding: line.dropLast(), as: UTF8.self)
            line = []
            let text = Array(try Self.questions[word].map(ask)?.utf8 ?? "".utf8)
            guard socket.send(Array("\(text.count)\n".utf8) + text) else { return }
        }
    }

    private func failure(_ what: String, _ output: URL) -> RigError {
        let text = (try? String(contentsOf: output, encoding: .utf8)) ?? ""
        return RigError(
            tried: "attack the agent", happened: "\(what): \(HostCommand.tail(text))",
            remedy: "read \(output.path) and the guest's logs")
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// QEMU's machine protocol: one JSON object a line.
final class QemuMonitor {
    private let socket: UnixSocket
    private var buffer: [UInt8] = []

    init(path: String) throws {
        socket = try UnixSocket.connect(to: path)
        try execute("qmp_capabilities")
    }

    /// Has QEMU execute `command` and waits for its answer.
    func execute(_ command: String, _ arguments: [String: Any] = [:]) throws {
        let request: [String: Any] = ["execute": command, "arguments": arguments, "id": command]
        let line = try JSONSerialization.data(withJSONObject: request)
        guard socket.send([UInt8](line) + [10]) else { throw failure(command, "QEMU has closed its monitor") }
        while true {
            // Greeting and events come between; only an answer carries the id.
            let answer = try JSONSerialization.jsonObject(with: nextLine(command)) as? [String: Any] ?? [:]
            guard answer["id"] as? String == command else { continue }
            guard let error = answer["error"] as? [String: Any] else { return }
            throw failure(command, "\(error["desc"] ?? error)")
        }
    }

    private func nextLine(_ command: String) throws -> Data {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                defer { buffer.removeFirst(end + 1) }
                return Data(buffer[..<end])
            }
            guard socket.waitReadable(.seconds(10)), let bytes = socket.receive(), !bytes.isEmpty else {
                throw failure(command, "QEMU did not answer")
            }
            buffer += bytes
        }
    }

    private func failure(_ command: String, _ happened: String) -> RigError {
        RigError(
            tried: "have QEMU do \(command)", happened: happened, remedy: "read QEMU's log in the run's folder")
    }
}

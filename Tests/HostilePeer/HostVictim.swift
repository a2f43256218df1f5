// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import Foundation
import TestSupport

/// An agent on this machine, on a file, whose programs are a process of this one's.
final class HostVictim: Victim {
    let sectionSize = 1 << 19
    let doorbell: UInt32 = 0
    let roundsPerQuestion = 13

    let folder: ScratchFolder
    let memory: Mapping
    let pid: pid_t
    let bells: (toAgent: Int32, toPeer: Int32)
    private let log: String

    var own: UnsafeMutableRawPointer { memory.base }
    var agents: UnsafeMutableRawPointer { memory.base + sectionSize }
    var runtime: String { folder.path + "/b" }

    /// - Parameter log: the file that this program's stderr, which is the agent's as well, goes to.
    init(agent path: String, log: String) throws {
        self.log = log
        folder = try ScratchFolder()
        try FileManager.default.createDirectory(atPath: folder.path + "/b/port", withIntermediateDirectories: true)
        let file = folder.path + "/memory"
        memory = try Mapping(path: file, size: 2 * sectionSize, create: true)
        bells = (eventfd(0, cs_efd_nonblock_cloexec()), eventfd(0, cs_efd_nonblock_cloexec()))
        let size = "size=\(sectionSize)"
        let words = [
            path, "agent", "--side=b", "--section-a=file:\(file),\(size)",
            "--section-b=file:\(file),offset=\(sectionSize),\(size)", "--doorbell=eventfd:10,11",
            "--channels=16", "--ring-size=16384", "--opens-a=8", "--heartbeat-ms=10", "--heartbeat-misses=50",
            "--connect-timeout-ms=100", "--runtime-dir=\(folder.path)/b",
        ].map { strdup($0 as String) }
        defer { words.forEach { free($0) } }
        var output: Int32 = -1
        pid = ct_spawn(path, words + [nil], [bells.toAgent, bells.toPeer], 2, &output)
        guard pid > 0 else { throw SystemFailure("start of \(path)") }
        let patience = Patience()
        while access(runtime + "/agent.sock", F_OK) != 0 {
            try patience.check("it does not start")
            try checkAlive()
            sched_yield()
        }
    }

    deinit { ct_kill(pid) }

    func checkAlive() throws {
        var status: Int32 = 0
        if waitpid(pid, &status, WNOHANG) == 0 { return }
        throw Failed(message: "the agent has ended, with wait status \(status)")
    }

    func checkPrograms() throws {
        guard access(Services.complaint(runtime), F_OK) != 0 else {
            throw Failed(message: "a program was given bytes of another channel's ring")
        }
    }

    // MARK: What it says

    /// Asks on `agent.sock`. - Returns: the text of the answer.
    func ask(_ operation: UInt16, json: Bool = false) throws -> String {
        let socket = connect()
        guard socket >= 0 else { throw Failed(message: "nobody listens at agent.sock: errno \(cs_errno())") }
        defer { close(socket) }
        AgentSocket.send(socket, AgentSocket.request(operation, port: 0, flags: json ? 1 : 0))
        var bytes: [UInt8] = []
        let patience = Patience()
        var room = [UInt8](repeating: 0, count: 65536)
        while true {
            var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            poll(&entry, 1, 1000)
            let count = recv(socket, &room, room.count, cs_msg_dontwait())
            if count > 0 { bytes += room[..<count] }
            if count == 0 { break }
            try patience.check("it does not answer")
            try checkAlive()
        }
        return String(decoding: bytes.dropFirst(16), as: UTF8.self)
    }

    func statusText() throws -> String { try ask(2, json: true) }

    func pass() throws {
        for _ in 0..<2 { _ = try ask(3) }
    }

    func connect() -> Int32 { AgentSocket.connect(runtime + "/agent.sock") }

    /// Of its data path, which is the child of the process that was started.
    func residentMemory() -> String {
        let children = try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
        let child = children?.split(separator: " ").first ?? "self"
        let status = try? String(contentsOfFile: "/proc/\(child)/status", encoding: .utf8)
        let line = status?.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line.map { $0.dropFirst(6).trimmingCharacters(in: .whitespaces) } ?? "unknown"
    }

    func logLines() throws -> [Substring] {
        try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
    }
}

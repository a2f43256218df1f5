// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim
import Foundation

/// Two agents on this machine, on the two halves of a file in memory, linked.
final class AgentPair {
    let folder: String
    private var agents: [pid_t] = []

    /// - Parameters:
    ///   - agent: a built `ringway`.  - words: more of its flags, such as `--guard=off`.
    ///   - processors: on which side a's and side b's are to run; empty: wherever there is room.
    init(agent: String, _ words: [String], processors: [Int32] = []) throws {
        // A file of tmpfs: one of a disk would be written back while it is measured.
        var template = Array("/dev/shm/ringway-bench-\(getpid())-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw BenchError.system("make a folder in /dev/shm", "mount a tmpfs there")
        }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let size = 8 << 20
        guard FileManager.default.createFile(atPath: folder + "/memory", contents: nil),
            truncate(folder + "/memory", 2 * size) == 0
        else { throw BenchError.system("make \(folder)/memory", "free some memory") }
        let bells = [eventfd(0, cs_efd_nonblock_cloexec()), eventfd(0, cs_efd_nonblock_cloexec())]
        defer { bells.forEach { close($0) } }
        for (index, side) in ["a", "b"].enumerated() {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/\(side)/port", withIntermediateDirectories: true)
            let sections = [
                "--section-a=file:\(folder)/memory,size=\(size)",
                "--section-b=file:\(folder)/memory,offset=\(size),size=\(size)",
            ]
            let own = ["--side=\(side)", "--doorbell=eventfd:10,11", "--runtime-dir=\(folder)/\(side)"]
            let processor = processors.indices.contains(index) ? processors[index] : -1
            agents.append(
                try Self.start(
                    [agent, "agent"] + own + sections + words, [bells[index], bells[1 - index]], processor))
        }
    }

    deinit {
        for pid in agents {
            kill(pid, SIGTERM)
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, cs_errno() == EINTR {}
        }
        hide()
    }

    /// Starts a program that has `descriptors` as 10, 11 and so on, and ends when this one does.
    static func start(_ words: [String], _ descriptors: [Int32], _ processor: Int32) throws -> pid_t {
        let arguments = words.map { strdup($0) } + [nil]
        defer { arguments.forEach { free($0) } }
        let pid = cb_start(arguments, descriptors, Int32(descriptors.count), processor)
        guard pid > 0 else { throw BenchError.system("start \(words[0])", "name a built agent with --agent") }
        return pid
    }

    /// Removes what the agents were reached by. A connection that is open needs it no more, and so nothing of it stays
    /// behind however this program ends.
    func hide() { try? FileManager.default.removeItem(atPath: folder) }

    /// What makes a program of one side's: `ringway run`, by the flags in front of it.
    func run(_ side: String, port: UInt16) -> [String] {
        ["run", "--runtime-dir=\(folder)/\(side)", "--port=\(port)", "--"]
    }

    /// Listens for what the peer opens. The agent of side b looks there for who serves the port.
    func listen(port: UInt16) throws -> Int32 {
        let path = "\(folder)/b/port/\(port).4"
        let (socket, result) = try Self.withAddress(path) { bind($0, $1, $2) }
        guard result == 0, CShim.listen(socket, 4) == 0 else {
            throw BenchError.system("listen at \(path)", "try again")
        }
        return socket
    }

    /// A connection that side a opens to a port of side b; waits for the agents to be linked.
    func open(port: UInt16) throws -> Int32 {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            let (socket, result) = try Self.withAddress("\(folder)/a/agent.sock") { connect($0, $1, $2) }
            if result == 0, answers(socket, port) { return socket }
            close(socket)
            sched_yield()
        }
        throw BenchError(
            tried: "open a connection through the agents", happened: "they did not link within 20 s",
            remedy: "read what they have said")
    }

    /// Operation 1 of `agent.sock`: magic "RWC1", operation and port, flags, and a word of zeros; the answer has as
    /// many bytes, the error number in its second word.
    private func answers(_ socket: Int32, _ port: UInt16) -> Bool {
        let request: [UInt32] = [0x3143_5752, 1 | UInt32(port) << 16, 0, 0]
        let bytes = request.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
        guard (try? Stream(socket).write(bytes)) != nil, let answer = try? Stream(socket).read(16) else { return false }
        return answer[4..<8].allSatisfy { $0 == 0 }
    }

    private static func withAddress(
        _ path: String, _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws -> (socket: Int32, result: Int32) {
        let socket = socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0)
        guard socket >= 0 else { throw BenchError.system("make a socket", "raise the limit on open files") }
        var address = sockaddr_un()
        let length = cs_unix_address(&address, path)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(socket, $0, length) }
        }
        return (socket, result)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim
import Foundation

/// Two programs under `ringway run`, as a user has them: each makes a TCP connection, and the preload library makes a
/// stream through its agent of it. They are this program once more (``ProgramCommand``), and stay for all turns.
final class RunPair {
    static let name = "ringway run, both programs"
    private static let port: UInt16 = 4747

    private let agents: AgentPair
    private let board: Board
    private let limit: Int32
    private var programs: [Program] = []

    private struct Program {
        let process: pid_t
        /// Jobs go there; a byte comes back for each.
        let control: Descriptors
    }

    /// - Parameters:
    ///   - agent: a built `ringway`, with the preload library beside it.  - program: this one.
    ///   - limit: seconds after which a turn has failed.
    init(agent: String, program: String = RunPair.ownProgram, processors: [Int32], limit: Int32 = 60) throws {
        let library = URL(fileURLWithPath: agent).deletingLastPathComponent()
            .appendingPathComponent("libringway-preload.so").path
        guard FileManager.default.isReadableFile(atPath: library) else {
            throw BenchError(
                tried: "measure \(Self.name)", happened: "there is no \(library)",
                remedy: "name an agent that has it with --agent (`make guest` builds both)")
        }
        let memory = cs_memfd("ringway-bench")
        guard memory >= 0, ftruncate(memory, off_t(Board.size)) == 0 else {
            throw BenchError.system("make a file in memory", "free some memory")
        }
        defer { close(memory) }
        self.limit = limit
        board = try Board(descriptor: memory)
        agents = try AgentPair(
            agent: agent, ["--guard=off", "--ring-size=1M", "--channels=4", "--opens-a=2", Waiting.polling.flag],
            processors: processors)
        for (index, side) in ["a", "b"].enumerated() {
            let words = [program, "program", "--side=\(index)", "--port=\(Self.port)"]
            let run = [agent] + agents.run(side, port: Self.port) + words
            programs.append(try Self.start(run, memory, processors[index]))
        }
        // Each says so when it is connected.
        try wait("connect two programs under `ringway run`")
        agents.hide()
    }

    deinit {
        for program in programs {
            kill(program.process, SIGKILL)
            var status: Int32 = 0
            while waitpid(program.process, &status, 0) < 0, cs_errno() == EINTR {}
        }
    }

    static var ownProgram: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    }

    private static func start(_ words: [String], _ memory: Int32, _ processor: Int32) throws -> Program {
        var pair: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0, &pair) == 0 else {
            throw BenchError.system("make a socket", "raise the limit on open files")
        }
        let control = Descriptors([pair[0]])
        defer { close(pair[1]) }
        return Program(process: try AgentPair.start(words, [memory, pair[1]], processor), control: control)
    }

    func run(_ job: RunJob) throws -> ProcessPair.Outcome {
        board.clear()
        for program in programs { try Stream(program.control.numbers[0]).write(job.bytes) }
        try wait("measure \(Self.name)")
        return board.outcome
    }

    /// Until both have said that they have done.
    private func wait(_ what: String) throws {
        var watched = programs.map { pollfd(fd: $0.control.numbers[0], events: Int16(POLLIN), revents: 0) }
        while watched.contains(where: { $0.fd >= 0 }) {
            guard poll(&watched, nfds_t(watched.count), limit * 1000) > 0 else {
                throw failure(what, "it had not ended after \(limit) s: something was lost, or nothing has moved")
            }
            for place in watched.indices where watched[place].fd >= 0 && watched[place].revents != 0 {
                var word: UInt8 = 1
                guard read(watched[place].fd, &word, 1) == 1, word == 0 else {
                    throw failure(what, "one of the two programs has ended")
                }
                // Not looked at again.
                watched[place].fd = -1
            }
        }
    }

    private func failure(_ what: String, _ reason: String) -> BenchError {
        BenchError(
            tried: what, happened: board.complaint ?? reason,
            remedy: "read what the agents have said; try it alone, with --only")
    }
}

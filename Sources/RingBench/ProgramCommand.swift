// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CBench
import CShim
import Foundation

/// What ``RunPair`` starts under `ringway run`: a program that has a TCP connection, as far as it knows.
struct ProgramCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "program", abstract: "One of the two programs that are measured under `ringway run`.",
        shouldDisplay: false)

    /// Descriptors that it is started with: the board, and where its jobs come from.
    private static let memory: Int32 = 10
    private static let control: Int32 = 11

    @Option(help: "0 connects, 1 listens.")
    var side: Int
    @Option(help: "The port.")
    var port: UInt16

    func validate() throws {
        guard side == 0 || side == 1 else { throw ValidationError("--side is 0 or 1") }
    }

    func run() throws {
        let board = try Board(descriptor: Self.memory)
        do {
            let socket = try connected()
            try answer(0)
            let processor = cb_processor(0)
            while let bytes = try? Stream(Self.control).read(RunJob.size), let job = RunJob(bytes) {
                try ProcessPair.takePart(side, job.half(side, socket: socket), board, on: processor)
                try answer(0)
            }
        } catch {
            board.complain(side, "\(error)")
            try? answer(1)
            throw ExitCode.failure
        }
    }

    private func answer(_ word: UInt8) throws { try Stream(Self.control).write([word]) }

    /// - Throws: ``BenchError``, also where the library has not made a stream of the agent's of it: what was measured
    ///   then would be TCP.
    private func connected() throws -> Int32 {
        let socket = side == 1 ? cb_accept(port) : connect()
        guard socket >= 0 else {
            throw BenchError.system("get a connection at port \(port)", "read what the agents have said")
        }
        guard cb_family(socket) == AF_UNIX else {
            throw BenchError(
                tried: "get a connection through the agents", happened: "it is one of TCP",
                remedy: "start this program with `ringway run`")
        }
        return socket
    }

    /// The agents have to link, and the other program to listen.
    private func connect() -> Int32 {
        let end = ContinuousClock.now + .seconds(20)
        while true {
            let socket = cb_connect(port)
            if socket >= 0 || ContinuousClock.now > end { return socket }
            sched_yield()
        }
    }
}

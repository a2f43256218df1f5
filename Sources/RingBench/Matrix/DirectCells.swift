// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim
import Foundation

/// Two programs under `ringway run --direct`, each with its agent, against a socket between two processes.
enum DirectCells {
    static let direct = "two programs in direct mode"

    static func stream(megabytes: Int, _ programs: DirectPrograms) -> Cell {
        cell(
            "direct-stream", "byte stream in direct mode, writes of \(ByteText.of(StreamCells.write))", "GB/s",
            StreamCells.pump(megabytes: megabytes, [KernelCarrier(.unixStream)]),
            Contender(name: direct) { pair in
                let regime = try pair.run(direct, .idle, .idle).regime
                let time = try programs.run(trips: 0, megabytes: megabytes)
                return Measurement(value: Double(megabytes << 20) / Double(time), regime: regime)
            })
    }

    static func roundTrip(message: Int, count: Int, _ programs: DirectPrograms) -> Cell {
        cell(
            "direct-round-trip", "\(ByteText.of(message)) there and back, in direct mode", "ns",
            RoundTripCells.pump(message: message, count: max(count / 10, 200), [KernelCarrier(.unixStream)]),
            Contender(name: direct) { pair in
                let regime = try pair.run(direct, .idle, .idle).regime
                let time = try programs.run(trips: count, megabytes: 0)
                return Measurement(value: Double(time) / Double(count), regime: regime)
            })
    }

    private static func cell(_ id: String, _ title: String, _ unit: String, _ peers: Cell, _ own: Contender) -> Cell {
        Cell(
            id: id, title: title, unit: unit, lowerIsBetter: peers.lowerIsBetter,
            contenders: [own] + peers.contenders)
    }
}

/// Two agents with direct mode, and the programs that are started with each of them: this one, as `half`.
final class DirectPrograms {
    private let agent: String
    private let pair: AgentPair
    private let processors: [Int32]
    private var port: UInt16 = 7100

    /// - Parameter agent: a built `ringway`, with the preload library beside it.
    init(agent: String, processors: [Int32]) throws {
        (self.agent, self.processors) = (agent, processors)
        // As where a program may use more than one processor: here each has one of its own.
        setenv("RINGWAY_DIRECT_SPIN_US", "50", 1)
        pair = try AgentPair(
            agent: agent, ["--guard=off", "--direct=on", "--ring-size=1M", "--channels=4", "--opens-a=4"],
            processors: processors)
    }

    /// - Returns: nanoseconds that the asking half took.
    func run(trips: Int, megabytes: Int) throws -> UInt64 {
        // Another one each time: the one before may be on its way out.
        port += 1
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw BenchError.system("make a pipe", "raise the limit on open files") }
        defer { close(ends[0]) }
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
        let half = [own, "half", "--port=\(port)", "--trips=\(trips)", "--megabytes=\(megabytes)"]
        var programs: [pid_t] = []
        defer {
            for program in programs {
                kill(program, SIGKILL)
                var status: Int32 = 0
                while waitpid(program, &status, 0) < 0, cs_errno() == EINTR {}
            }
        }
        for (index, side) in ["b", "a"].enumerated() {
            let run = [agent, "run", "--direct", "--runtime-dir=\(pair.folder)/\(side)", "--port=\(port)", "--"]
            let role = index == 0 ? ["--answers"] : []
            programs.append(try AgentPair.start(run + half + role, [ends[1]], processors[index]))
            // The one that answers says that it listens; the other one how long it took.
            if index == 0 { _ = try number(ends[0], "listen") }
        }
        close(ends[1])
        return try number(ends[0], "ask")
    }

    private func number(_ end: Int32, _ what: String) throws -> UInt64 {
        var entry = pollfd(fd: end, events: Int16(POLLIN), revents: 0)
        var number: UInt64 = 0
        guard poll(&entry, 1, 60_000) == 1, read(end, &number, 8) == 8, number != 0 else {
            throw BenchError(
                tried: "\(what) in direct mode", happened: "the program ended, or took more than a minute",
                remedy: "build the preload library beside the agent (make guest), and name that agent with --agent")
        }
        return number
    }
}

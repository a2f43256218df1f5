// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim
import RingBuffer

/// Two processes, each on a processor of its own, that do the two halves of a piece of work.
struct ProcessPair {
    /// What one run has found.
    struct Outcome: Equatable {
        /// From the moment when both were ready until the later one had done.
        var nanoseconds: UInt64 = 0
        /// What the halves say that they found wrong.
        var wrong: UInt64 = 0
        /// Nanoseconds for which the one that had to wait longer could have run, and something else did.
        var delayed: UInt64 = 0
        /// Nanoseconds in which a cache line went to the other processor and back, before and after.
        var bounceBefore = 0.0
        var bounceAfter = 0.0
    }

    /// One half: what is not counted, and what is; the latter returns how much of it was wrong.
    struct Half {
        var prepare: () throws -> Void = {}
        let work: () throws -> UInt64
    }

    let processors: [Int32]
    /// Seconds after which a run has failed.
    var limit: UInt32 = 60

    init() throws {
        processors = [cb_processor(0), cb_processor(1)]
        guard processors.allSatisfy({ $0 >= 0 }) else {
            throw BenchError(
                tried: "take two processors", happened: "this process may run on one only",
                remedy: "run it where it may use two (taskset, cgroups)")
        }
    }

    /// Forks both, and waits for them.
    func run(_ first: Half, _ second: Half) throws -> Outcome {
        let board = try Board()
        var children: [pid_t] = []
        for (index, half) in [first, second].enumerated() {
            let child = cb_fork(limit)
            guard child >= 0 else { throw BenchError.system("start a process", "raise the limit on processes") }
            if child == 0 { takePart(index, half, board) }
            children.append(child)
        }
        try wait(for: children, board)
        return board.outcome
    }

    /// In the child; never returns.
    private func takePart(_ index: Int, _ half: Half, _ board: Board) -> Never {
        guard cb_pin(processors[index]) == 0 else { cb_exit(2) }
        do {
            board.bounce(index, isAfter: false)
            try half.prepare()
            board.meet(index, at: 0)
            board.begin(index)
            let wrong = try half.work()
            board.end(index, wrong: wrong)
            board.meet(index, at: 1)
            board.bounce(index, isAfter: true)
            cb_exit(0)
        } catch {
            board.complain("\(error)")
            cb_exit(1)
        }
    }

    private func wait(for children: [pid_t], _ board: Board) throws {
        var failed: String?
        var left = try children.map { child in
            let watch = cb_watch(child)
            guard watch >= 0 else { throw BenchError.system("watch a process", "use Linux 5.3 or newer") }
            return (child: child, watch: watch)
        }
        while !left.isEmpty {
            var watched = left.map { pollfd(fd: $0.watch, events: Int16(POLLIN), revents: 0) }
            poll(&watched, nfds_t(watched.count), -1)
            // The one that fails is not always the one that would be waited for first.
            guard let place = watched.firstIndex(where: { $0.revents != 0 }) else { continue }
            let ended = left.remove(at: place)
            var status: Int32 = 0
            waitpid(ended.child, &status, 0)
            close(ended.watch)
            if !cs_wifexited(status) || cs_wexitstatus(status) != 0, failed == nil {
                failed = board.complaint ?? "a process ended with status \(status); it may take \(limit) s"
                left.forEach { kill($0.child, SIGKILL) }
            }
        }
        if let failed {
            throw BenchError(
                tried: "measure with two processes", happened: failed, remedy: "try it alone, with --only")
        }
    }
}

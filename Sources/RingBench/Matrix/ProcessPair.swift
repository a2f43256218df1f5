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
        /// Nanoseconds of that in which something else had the processor, of the half that met more of it.
        var delayed: UInt64 = 0
        /// Nanoseconds in which a cache line went to the other processor and back, before and after.
        var bounceBefore = 0.0
        var bounceAfter = 0.0
    }

    /// One half: what is not counted, and what is.
    struct Half {
        fileprivate let prepare: () throws -> Void
        fileprivate let work: () throws -> UInt64

        /// The half that looks at what comes.
        /// - Parameter work: returns how much of it was wrong.
        init(prepare: @escaping () throws -> Void = {}, checking work: @escaping () throws -> UInt64) {
            (self.prepare, self.work) = (prepare, work)
        }

        /// The half that only sends: of what it does nothing can be seen to be wrong.
        init(prepare: @escaping () throws -> Void = {}, sending work: @escaping () throws -> Void) {
            self.init(
                prepare: prepare,
                checking: {
                    try work()
                    return 0
                })
        }

        /// The half that has nothing to do.
        static var idle: Half { Half(sending: {}) }
    }

    let processors: [Int32]
    /// Seconds after which a run has failed.
    let limit: UInt32

    init(limit: UInt32 = 60) throws {
        self.limit = limit
        processors = [cb_processor(0), cb_processor(1)]
        guard processors.allSatisfy({ $0 >= 0 }) else {
            throw BenchError(
                tried: "take two processors", happened: "this process may run on one only",
                remedy: "run it where it may use two (taskset, cgroups)")
        }
    }

    /// Forks both, and waits for them.
    /// - Parameter name: of what is measured, for an error's text.
    /// - Throws: ``BenchError`` when one of them failed, or found something that was wrong: no rate is worth anything
    ///   then.
    func run(_ name: String, _ first: Half, _ second: Half) throws -> Outcome {
        let board = try Board()
        var children: [Child] = []
        // However this ends, nobody is left to spin.
        defer { children.forEach { $0.kill() } }
        for (index, half) in [first, second].enumerated() {
            let child = cb_fork(limit)
            guard child >= 0 else { throw BenchError.system("start a process", "raise the limit on processes") }
            if child == 0 { takePart(index, half, board) }
            children.append(Child(process: child))
        }
        while !children.isEmpty {
            // The one that fails is not always the one that would be waited for first.
            let place = try Child.firstToEnd(children)
            let status = children.remove(at: place).status()
            guard !cs_wifexited(status) || cs_wexitstatus(status) != 0 else { continue }
            throw BenchError(
                tried: "measure \(name)", happened: board.complaint ?? reason(status),
                remedy: "try it alone, with --only; report it when it happens again")
        }
        return board.outcome
    }

    private func reason(_ status: Int32) -> String {
        if cs_wifexited(status) { return "one of its two processes ended with status \(cs_wexitstatus(status))" }
        return cs_wtermsig(status) == SIGALRM
            ? "it had not ended after \(limit) s: something was lost, or nothing has moved"
            : "one of its two processes was ended by signal \(cs_wtermsig(status))"
    }

    /// In the child; never returns.
    private func takePart(_ index: Int, _ half: Half, _ board: Board) -> Never {
        do {
            guard cb_pin(processors[index]) == 0 else {
                throw BenchError.system("run on processor \(processors[index])", "let this process use it")
            }
            try Self.takePart(index, half, board, on: processors[index])
            cb_exit(0)
        } catch {
            board.complain(index, "\(error)")
            cb_exit(1)
        }
    }

    /// One half, in a process that may run on that processor only.
    static func takePart(_ index: Int, _ half: Half, _ board: Board, on processor: Int32) throws {
        board.bounce(index, isAfter: false)
        try half.prepare()
        let delayed = RunDelay.now(processor)
        board.meet(index, at: 0)
        board.begin(index)
        let wrong = try half.work()
        board.end(index)
        guard wrong == 0 else {
            throw BenchError(
                tried: "read what was sent", happened: "\(wrong) or more messages were not those that were sent",
                remedy: "the ring, or the queue, is broken")
        }
        board.meet(index, at: 1)
        board.note(index, delayed: RunDelay.now(processor).since(delayed))
        board.bounce(index, isAfter: true)
    }
}

/// A process that was forked here.
private struct Child {
    let process: pid_t

    /// Waits until one of them has ended.
    /// - Returns: its place.
    static func firstToEnd(_ children: [Child]) throws -> Int {
        var watched: [pollfd] = []
        defer { watched.forEach { close($0.fd) } }
        for child in children {
            let watch = cb_watch(child.process)
            guard watch >= 0 else { throw BenchError.system("watch a process", "use Linux 5.3 or newer") }
            watched.append(pollfd(fd: watch, events: Int16(POLLIN), revents: 0))
        }
        while true {
            if poll(&watched, nfds_t(watched.count), -1) > 0, let place = watched.firstIndex(where: { $0.revents != 0 })
            {
                return place
            }
        }
    }

    /// How it ended; waits for that.
    func status() -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, cs_errno() == EINTR {}
        return status
    }

    func kill() {
        _ = CShim.kill(process, SIGKILL)
        _ = status()
    }
}

// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim
import RingBuffer
import TestSupport
import Testing

@testable import RingBench

/// Whether this machine can measure anything.
let hasTwoProcessors = cs_processors() >= 2

@Suite(.serialized, .enabled(if: hasTwoProcessors, "two processors are needed"))
struct ProcessPairTests {
    private let pair: ProcessPair
    /// What the halves write down for the test.
    private let area: SharedArea

    init() throws {
        pair = try ProcessPair()
        area = try SharedArea(4096)
    }

    private func number(_ place: Int) -> SharedWord64 { SharedWord64(area.base + 8 * place) }

    /// What a run with such halves fails with. Neither process is left then.
    private func failure(_ first: ProcessPair.Half, _ second: ProcessPair.Half) throws -> String {
        String(describing: try #require(throws: BenchError.self) { try pair.run("the test", first, second) })
    }

    /// A half that says who it is, and then waits for the other one for good.
    private var waiting: ProcessPair.Half { .init(prepare: { number(0).storeRelaxed(UInt64(getpid())) }, sending: {}) }

    private var whoWaitedIsGone: Bool { kill(pid_t(number(0).loadRelaxed()), 0) == -1 && cs_errno() == ESRCH }

    @Test func eachHasAProcessorOfItsOwn() throws {
        #expect(pair.processors.count == 2 && pair.processors[0] != pair.processors[1])
        func half(_ place: Int) -> ProcessPair.Half {
            .init(checking: {
                number(place).storeRelaxed(UInt64(getpid()))
                return cb_processor(0) == pair.processors[place] && cb_processor(1) == -1 ? 0 : 1
            })
        }
        let outcome = try pair.run("the test", half(0), half(1))
        #expect(outcome.nanoseconds > 0 && outcome.bounceBefore > 0 && outcome.bounceAfter > 0)
        #expect(Set([number(0).loadRelaxed(), number(1).loadRelaxed(), UInt64(getpid())]).count == 3)
        // The one that starts them may run where it could before.
        #expect(cb_processor(1) >= 0)
    }

    @Test func preparationIsNotMeasured() throws {
        // One is long prepared while the other still is at it, and begins its work no sooner than that one.
        let slow = ProcessPair.Half(
            prepare: {
                while number(1).loadAcquire() == 0 { cs_cpu_relax() }
                for _ in 0..<1_000_000 { cs_cpu_relax() }
                number(0).storeRelease(1)
            }, sending: {})
        let quick = ProcessPair.Half(
            prepare: { number(1).storeRelease(1) }, checking: { number(0).loadAcquire() == 1 ? 0 : 1 })
        _ = try pair.run("the test", slow, quick)
    }

    @Test func aHalfThatThrows() throws {
        let thrown = BenchError(tried: "try", happened: "it failed", remedy: "mend it")
        let throwing = ProcessPair.Half(prepare: { throw thrown }, sending: {})
        let expected = "could not measure the test: could not try: it failed; mend it; try it alone, with --only"
        for text in [try failure(waiting, throwing), try failure(throwing, waiting)] {
            #expect(text.hasPrefix(expected))
            #expect(whoWaitedIsGone)
        }
        #expect(try failure(.init(sending: { throw thrown }), .idle).hasPrefix(expected))
        // A reason that is longer than there is room for is cut.
        let long = BenchError(tried: String(repeating: "x", count: 5000), happened: "", remedy: "")
        #expect(try failure(.init(sending: { throw long }), .idle).contains(String(repeating: "x", count: 900)))
    }

    @Test func aHalfThatEnds() throws {
        let text = try failure(waiting, .init(prepare: { cb_exit(7) }, sending: {}))
        #expect(text.contains("one of its two processes ended with status 7") && whoWaitedIsGone, "\(text)")
    }

    @Test func aHalfThatIsKilled() throws {
        let text = try failure(waiting, .init(prepare: { _ = raise(SIGKILL) }, sending: {}))
        #expect(text.contains("one of its two processes was ended by signal 9") && whoWaitedIsGone, "\(text)")
    }

    @Test func aHalfThatTakesTooLong() throws {
        // What the alarm that each of them has sends in the end.
        let text = try failure(waiting, .init(prepare: { _ = raise(SIGALRM) }, sending: {}))
        #expect(text.contains("it had not ended after 60 s") && whoWaitedIsGone, "\(text)")
    }

    @Test func theAlarmIsSet() throws {
        let limited = try ProcessPair(limit: 77)
        let half = ProcessPair.Half(checking: {
            let left = alarm(0)
            return left > 0 && left <= 77 ? 0 : 1
        })
        _ = try limited.run("the test", half, half)
    }

    @Test func aHalfThatFindsSomethingWrong() throws {
        let text = try failure(.init(sending: {}), .init(checking: { 3 }))
        #expect(text.contains("3 or more messages were not those that were sent"), "\(text)")
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import RingBuffer
import TestSupport
import Testing

/// A mailbox of one line each way: every record arrives once and whole, and no peer's word does more than end it.
@Suite struct LineRecordTests {
    /// What one side may do next.
    private enum Step: CaseIterable { case send, receive, acknowledge }

    /// Before the numbers pass 2^32, at it, and elsewhere.
    private static let starts: [UInt32] = [0, 5, 0x7FFF_FFFF, 0 &- 1, 0 &- 2, 0 &- 3]

    /// What the two lines hold, as plain values: a record is there until it is taken, and its room is free when that
    /// was said.
    private struct Model {
        var sent: [UInt32] = [0, 0]
        var taken: [UInt32] = [0, 0]
        /// How many of the side's own records it has been told are taken.
        var told: [UInt32] = [0, 0]

        mutating func sends(_ side: Int) -> Bool {
            guard told[side] == sent[side] else { return false }
            sent[side] += 1
            acknowledges(side)
            return true
        }

        /// - Returns: the record's number; nil when there is no new one.
        mutating func receives(_ side: Int) -> UInt32? {
            guard sent[1 - side] > taken[side] else { return nil }
            taken[side] += 1
            return taken[side]
        }

        mutating func acknowledges(_ side: Int) { told[1 - side] = taken[side] }
    }

    /// Every order of so many steps of both sides, against the model.
    @Test(arguments: CopyMode.all) func everyOrderOfSteps(_ copy: CopyMode) {
        let depth = TestRun.isLong ? 7 : 6
        var tally = Tally()
        let choices = (0..<2).flatMap { side in Step.allCases.map { (side, $0) } }
        // Copying has no part in what the numbers do.
        for start in copy == .block || TestRun.isLong ? Self.starts : [0 &- 2] {
            for order in 0..<Int(pow(6.0, Double(depth))) {
                let lines = LineFixture(start: start, copy: copy)
                var model = Model()
                var rest = order
                for _ in 0..<depth {
                    let (side, step) = choices[rest % 6]
                    rest /= 6
                    take(step, side, lines, &model, &tally, "order \(order) from \(start)")
                }
                tally.check(lines.guardsAreIntact, "order \(order): bytes outside the lines were written")
            }
        }
        expectNone(tally)
    }

    private func take(
        _ step: Step, _ side: Int, _ lines: LineFixture, _ model: inout Model, _ tally: inout Tally, _ what: String
    ) {
        switch step {
        case .send:
            // Each side's records have bytes of their own.
            let bytes = LineFixture.bytes(model.sent[side] + 1 + UInt32(100 * side))
            tally.equal(lines.send(side, bytes), .success(model.sends(side)), "\(what): send of \(side)")
        case .receive:
            let expected = model.receives(side).map { LineFixture.bytes($0 + UInt32(100 * (1 - side))) } ?? []
            tally.equal(lines.receive(side), .success(expected), "\(what): receive of \(side)")
        case .acknowledge:
            lines.acknowledge(side)
            model.acknowledges(side)
        }
    }

    @Test(arguments: CopyMode.all) func recordsOfEverySize(_ copy: CopyMode) {
        var tally = Tally()
        for size in 0...LineRecord.payload {
            let lines = LineFixture(copy: copy)
            tally.equal(lines.send(0, LineFixture.bytes(1)), .success(true), "a whole record")
            tally.equal(lines.receive(1), .success(LineFixture.bytes(1)), "a whole record")
            lines.acknowledge(1)
            // Behind a shorter one stands what stood there.
            tally.equal(lines.send(0, LineFixture.bytes(2, size)), .success(true), "\(size) bytes")
            let whole = LineFixture.bytes(2, size) + LineFixture.bytes(1)[size...]
            tally.equal(lines.receive(1), .success(whole), "\(size) bytes")
            lines.acknowledge(1)
            tally.equal(lines.send(0, LineFixture.bytes(3)), .success(true), "a whole record")
            tally.equal(lines.receive(1, size), .success(LineFixture.bytes(3, size)), "the first \(size)")
            tally.check(lines.guardsAreIntact, "\(size): bytes outside the lines were written")
        }
        let lines = LineFixture(copy: copy)
        for size in [57, 64, 4096] {
            let asked = RingError.overrun(asked: size, available: 56)
            tally.equal(lines.send(0, LineFixture.bytes(1, size)), .failure(asked), "\(size) bytes")
        }
        tally.equal(lines.fault(0), nil, "what is too long is no fault of the peer's")
        tally.equal(lines.receive(1), .success([]), "nothing was sent")
        // Room for more than a record gets a record.
        tally.equal(lines.send(0, LineFixture.bytes(1)), .success(true), "a whole record")
        let longer = LineFixture.bytes(1) + [UInt8](repeating: 0, count: 8)
        tally.equal(lines.receive(1, 64), .success(longer), "room for 64")
        expectNone(tally)
    }

    /// How far an end can have come when it looks.
    private enum Stage: CaseIterable {
        /// Nothing was sent or received.
        case idle
        /// One of its own is under way.
        case asked
        /// That was taken, and said so.
        case heard
        /// As before, and one of the peer's was taken.
        case answered
    }

    /// Whatever word a hostile peer publishes: a possible one is taken, any other is a typed, sticky fault.
    @Test func everyWordThatAPeerMayWrite() {
        var tally = Tally()
        let far: [UInt32] = [0x4000_0000, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FF00]
        let around = (0...8).map { UInt32($0) &- 4 } + far
        for (start, stage) in Self.starts.flatMap({ start in Stage.allCases.map { (start, $0) } }) {
            for (record, taken) in around.flatMap({ record in around.map { (record, $0) } }) {
                for sends in [false, true] {
                    let lines = LineFixture(start: start)
                    let (received, sent, told) = bring(lines, to: stage, start, &tally)
                    let word = (record: start &+ record, taken: start &+ taken)
                    lines.publish(1, record: word.record, taken: word.taken)
                    // A sender who knows that its record was taken has nothing to look for.
                    let looks = !sends || sent != told
                    let fault = looks ? fault(of: word, start, received, sent, told) : nil
                    let result = look(lines, sends)
                    let what = "record +\(record), taken +\(taken), \(stage) from \(start), \(sends)"
                    tally.equal(result, fault, what)
                    isSticky(looks ? fault : nil, lines, &tally, what)
                    tally.check(lines.guardsAreIntact, "\(what): bytes outside the lines were written")
                }
            }
        }
        expectNone(tally)
    }

    /// - Returns: how many records this side has received, has sent, and knows to be taken.
    private func bring(
        _ lines: LineFixture, to stage: Stage, _ start: UInt32, _ tally: inout Tally
    ) -> (received: UInt32, sent: UInt32, told: UInt32) {
        guard stage != .idle else { return (0, 0, 0) }
        tally.equal(lines.send(0, LineFixture.bytes(1)), .success(true), "the first record")
        guard stage != .asked else { return (0, 1, 0) }
        lines.publish(1, record: start &+ (stage == .answered ? 1 : 0), taken: start &+ 1)
        let got = lines.receive(0)
        tally.check((try? got.get())?.isEmpty == (stage == .heard), "\(stage): \(got)")
        return (stage == .answered ? 1 : 0, 1, 1)
    }

    /// Written down a second time: which word is possible.
    private func fault(
        of word: (record: UInt32, taken: UInt32), _ start: UInt32, _ received: UInt32, _ sent: UInt32, _ told: UInt32
    ) -> RingError? {
        let last = start &+ received
        guard word.record == last || word.record == last &+ 1 else {
            return .peerIndex(published: word.record, lowest: last, highest: last &+ 1)
        }
        guard word.taken == start &+ told || word.taken == start &+ sent else {
            return .peerIndex(published: word.taken, lowest: start &+ told, highest: start &+ sent)
        }
        return nil
    }

    private func look(_ lines: LineFixture, _ sends: Bool) -> RingError? {
        if sends {
            guard case .failure(let error) = lines.send(0, LineFixture.bytes(2)) else { return nil }
            return error
        }
        guard case .failure(let error) = lines.receive(0) else { return nil }
        return error
    }

    /// The end shows the fault and does nothing more, though the peer's word is right again.
    private func isSticky(_ fault: RingError?, _ lines: LineFixture, _ tally: inout Tally, _ what: String) {
        tally.equal(lines.fault(0), fault, "\(what): the fault that the end shows")
        guard let fault else { return }
        let published = lines.word(0).loadAcquire()
        let own = lines.word(0).loadRelaxed()
        lines.publish(1, record: UInt32(truncatingIfNeeded: own >> 32), taken: UInt32(truncatingIfNeeded: own))
        for _ in 0..<2 {
            tally.equal(lines.send(0, LineFixture.bytes(3)), .failure(fault), "\(what): sends")
            tally.equal(lines.receive(0), .failure(fault), "\(what): receives")
        }
        tally.equal(lines.word(0).loadAcquire(), published, "\(what): an end with a fault has published")
    }

    /// A peer that changes its word and its record all the time: nothing outside the lines is touched, and what is
    /// read are bytes of some record.
    @Test func aLineThatNeverStandsStill() {
        let lines = LineFixture()
        let stop = SharedWord32(.allocate(byteCount: 8, alignment: 8))
        stop.storeRelaxed(0)
        let seed = TestRun.seed
        let ended = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            var random = SeededGenerator(seed)
            while stop.loadRelaxed() == 0 {
                let value = random.next()
                lines.publish(1, record: UInt32(value & 3), taken: UInt32((value >> 2) & 3))
                for place in 0..<7 { SharedWord64(lines.lines[1] + 8 * place).storeRelaxed(value) }
            }
            ended.signal()
        }
        var tally = Tally()
        var (faults, records) = (0, 0)
        // Until both were seen: how the threads meet is the machine's.
        while faults < 1000 || records < 1000 {
            lines.a = LineRecord(own: lines.lines[0], peer: lines.lines[1], copy: .alignedWords)
            switch lines.receive(0) {
            case .failure: faults += 1
            case .success(let bytes): records += bytes.isEmpty ? 0 : 1
            }
            if case .failure = lines.send(0, LineFixture.bytes(1)) { faults += 1 }
        }
        stop.storeRelaxed(1)
        ended.wait()
        tally.check(lines.guardsAreIntact, "bytes outside the lines were written (seed \(seed))")
        expectNone(tally)
    }

    /// Two processes, each of which can write its own line alone; the numbers pass 2^32 on the way.
    @Test(arguments: ["block", "words"]) func betweenProcesses(_ copy: String) throws {
        let total = TestRun.isLong ? 5_000_000 : 300_000
        let folder = try ScratchFolder()
        let lines = try ["a", "b"].map { try Mapping(path: "\(folder.path)/\($0)", size: 4096, create: true) }
        let start = 0 &- UInt32(total / 3)
        lines.forEach { LineRecord.prepare($0.base, start: start) }
        let helpers = try ["a", "b"].map {
            try HelperProcess(
                "RingPeer",
                [
                    "record", "folder=\(folder.path)", "side=\($0)", "copy=\(copy)", "start=\(start)",
                    "total=\(total)", "seed=\(TestRun.seed)",
                ])
        }
        for (status, output) in helpers.map({ $0.finish() }) {
            print("\(copy), seed \(TestRun.seed): \(output)", terminator: "")
            #expect(status == 0 && output.contains("\(total) records there, \(total / 2) back"), "\(output)")
        }
    }
}

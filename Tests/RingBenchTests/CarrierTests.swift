// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import RingBench

@Suite(.serialized, .enabled(if: hasTwoProcessors, "two processors are needed"))
struct CarrierTests {
    private let pair: ProcessPair

    init() throws { pair = try ProcessPair() }

    private static let agent = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appendingPathComponent("ringway").path

    private static func streams() -> [any Carrier] {
        [RingCarrier(), RingCarrier(batch: 32), RingCarrier(isPaced: false), OneLockRing()]
            + KernelCarrier.Kind.allCases.map(KernelCarrier.init)
    }

    private func send(_ carrier: any Carrier, _ message: Int, _ count: Int) throws {
        _ = try MessageCells.carry(carrier, message, warm: 100, count, pair)
    }

    /// There and back, as every cell with round trips does it.
    private func ask(_ carrier: any Carrier, _ message: Int, _ count: Int) throws {
        let (there, back) = try carrier.bothOpened(message)
        _ = try pair.run(
            carrier.name,
            RoundTripCells.asking(there, back, count) { try RoundTripCells.ask(there, back, $0) },
            RoundTripCells.answering(there, back, count))
    }

    /// More than fits at once, and no multiple of a batch.
    @Test(arguments: [64, 512, 4096])
    func numberedMessagesArriveIntact(_ message: Int) throws {
        for carrier in Self.streams() { try send(carrier, message, (512 << 10) / message + 7) }
        for carrier in Self.streams() { try ask(carrier, message, 200) }
    }

    @Test func aRecordOfOneLine() throws {
        for message in [8, 24, 56] {
            try send(LineCarrier(), message, 2000)
            try ask(LineCarrier(), message, 2000)
        }
        #expect(try LineCarrier().open(message: 64) == nil)
    }

    @Test func largeMessages() throws {
        for carrier in Self.streams() where try carrier.open(message: 65_536) != nil { try send(carrier, 65_536, 33) }
        // A queue of the kernel takes what a user may have.
        #expect(try KernelCarrier(.messageQueue).open(message: 65_536) == nil)
        let text = String(
            describing: try #require(throws: BenchError.self) { try KernelCarrier(.messageQueue).opened(65_536) })
        #expect(text.hasPrefix("could not open POSIX mq: it takes no messages of 65536 bytes"))
    }

    @Test func whoSleepsIsWoken() throws {
        for carrier in [BlockingRing(), EventPair(), FutexPair()] as [any Carrier] { try ask(carrier, 64, 500) }
    }

    @Test func throughAgentsAndRelays() throws {
        let carriers: [any Carrier] = [
            try PumpCarrier(agent: Self.agent, processors: pair.processors),
            try PumpCarrier(agent: Self.agent, processors: pair.processors, .asleep),
            try RelayOverTCP(processors: pair.processors),
            try RelayOverTCP(processors: pair.processors, .asleep),
        ]
        for carrier in carriers {
            try send(carrier, StreamCells.write, 40)
            try ask(carrier, 64, 100)
        }
    }

    @Test func everyStreamCell() throws {
        let cells = [
            StreamCells.cell(megabytes: 2, StreamCells.rings),
            LatencyCell.cell(message: 64, count: 100, [RingCarrier()]),
            RoundTripCells.polling(id: "record", message: 56, count: 100, [LineCarrier(), RingCarrier()]),
            RoundTripCells.polling(message: 64, count: 100, []), RoundTripCells.blocking(message: 64, count: 100),
        ]
        for contender in cells.flatMap(\.contenders) {
            let measured = try contender.measure(pair)
            #expect(measured.value > 0 && measured.value.isFinite, "\(contender.name)")
        }
        let times = try #require(cells[1].contenders.first).measure(pair)
        #expect(times.latencies.count == 100 && times.latencies.allSatisfy { $0 > 0 })
        #expect(times.latencies.sorted()[50] == UInt32(times.value))
    }

    // MARK: What is broken is noticed

    /// What happens to the tenth message.
    enum Fault: CaseIterable {
        case lost, repeated, swapped, changed
    }

    /// A carrier with one fault, on the way there and on the way back.
    private final class Broken: Carrier {
        private let inner: any Carrier
        private let fault: Fault
        let name = "the broken one"

        init(_ inner: any Carrier, _ fault: Fault) { (self.inner, self.fault) = (inner, fault) }

        func open(message: Int) throws -> CarrierChannel? {
            try inner.open(message: message).map { Channel($0, fault) }
        }

        /// Its producing loop is the common one, and its consuming loop that of the carrier that is tried.
        private final class Channel: CarrierChannel {
            private let inner: CarrierChannel
            private let fault: Fault
            private var count = 0
            private var held: [UInt8] = []
            var message: Int { inner.message }

            init(_ inner: CarrierChannel, _ fault: Fault) { (self.inner, self.fault) = (inner, fault) }

            func send(_ message: UnsafeRawBufferPointer) throws {
                count += 1
                if count == 11, fault == .swapped {
                    try inner.send(message)
                    try held.withUnsafeBytes { try inner.send($0) }
                    return
                }
                guard count == 10 else { return try inner.send(message) }
                held = Array(message)
                switch fault {
                case .lost, .swapped: break
                case .repeated:
                    try inner.send(message)
                    try inner.send(message)
                case .changed:
                    // Not undone when it is changed on its way back, too.
                    held[3] &+= 1
                    try held.withUnsafeBytes { try inner.send($0) }
                }
            }

            func receive(_ message: UnsafeMutableRawBufferPointer) throws { try inner.receive(message) }
            func consume(count: Int) throws -> UInt64 { try inner.consume(count: count) }
        }
    }

    @Test(arguments: Fault.allCases)
    func aMessageThatIsNotTheOneThatWasSent(_ fault: Fault) throws {
        // Large enough that the kernel's buffers do not take all of it.
        for (inner, message) in [
            (RingCarrier(), 512), (RingCarrier(batch: 32), 512), (OneLockRing(), 512),
            (KernelCarrier(.unixStream), 512), (LineCarrier(), 56),
        ] as [(any Carrier, Int)] {
            let broken = Broken(inner, fault)
            let text = String(describing: try #require(throws: BenchError.self) { try send(broken, message, 2000) })
            #expect(text.hasPrefix("could not measure the broken one: "), "\(inner.name): \(text)")
            #expect(text.contains("not those that were sent"), "\(inner.name): \(text)")
        }
    }

    @Test func anAnswerThatIsNotWhatWasAsked() throws {
        for fault in [Fault.repeated, .changed] {
            let text = String(
                describing: try #require(throws: BenchError.self) { try ask(Broken(RingCarrier(), fault), 64, 200) })
            #expect(text.contains("could not measure the broken one: could not read an answer"), "\(text)")
        }
    }

    @Test func whatCannotBeOpenedIsMissingOnce() throws {
        let suite = BenchSuite(work: 1, peers: "/no/such", agent: "/no/agent", processors: pair.processors)
        _ = try suite.cells { $0.hasPrefix("messages-") }
        #expect(suite.missing == ["every queue of peers/: /no/such has none (mk/bench-peers.sh builds them)"])
        let text = String(
            describing: try #require(throws: BenchError.self) { try suite.cells { $0 == "pump-stream" } })
        #expect(text.hasPrefix("could not start /no/agent: ") && text.contains("--agent"))
        #expect(try suite.cells { _ in false }.isEmpty)
    }
}

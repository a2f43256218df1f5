// SPDX-License-Identifier: Apache-2.0
import RingBuffer

/// A message there and one back, each waited for.
enum RoundTripCells {
    static let bounce = "line bounce"

    /// Polling: nobody sleeps, unless the kernel lets it.
    /// - Parameters:
    ///   - id: unless it is `round-trip-SIZE`.  - count: round trips in each turn; a tenth where each goes through the
    ///     kernel.
    static func polling(id: String? = nil, message: Int, count: Int, _ carriers: [any Carrier]) -> Cell {
        let bounce = Contender(name: Self.bounce) { pair in
            let outcome = try pair.run(Self.bounce, .idle, .idle)
            return Measurement(value: (outcome.bounceBefore + outcome.bounceAfter) / 2, regime: outcome.regime)
        }
        return Cell(
            id: id ?? "round-trip-\(message)", title: "\(ByteText.of(message)) there and back", unit: "ns",
            lowerIsBetter: true,
            contenders: [bounce] + carriers.map { contender($0, message, $0.sleeps ? max(count / 10, 200) : count) })
    }

    /// Who finds nothing sleeps.
    static func blocking(message: Int, count: Int) -> Cell {
        let carriers: [any Carrier] = [BlockingRing(), EventPair(), FutexPair()]
        return Cell(
            id: "blocking-\(message)", title: "\(ByteText.of(message)) there and back, asleep between", unit: "ns",
            lowerIsBetter: true, contenders: carriers.map { contender($0, message, count) })
    }

    /// Through agents, or relays.
    /// - Parameter run: programs under `ringway run`, where there are any.
    static func pump(message: Int, count: Int, _ carriers: [any Carrier], _ run: RunPair? = nil) -> Cell {
        let programs = run.map { run in
            Contender(name: RunPair.name) { _ in
                let outcome = try run.run(RunJob(.roundTrip, message: message, count: count))
                return measurement(outcome, count)
            }
        }
        return Cell(
            id: "pump-round-trip", title: "\(ByteText.of(message)) there and back, through the agents", unit: "ns",
            lowerIsBetter: true,
            contenders: carriers.map { contender($0, message, count) } + [programs].compactMap(\.self))
    }

    private static func measurement(_ outcome: ProcessPair.Outcome, _ count: Int) -> Measurement {
        Measurement(value: Double(outcome.nanoseconds) / Double(count), regime: outcome.regime)
    }

    private static func contender(_ carrier: any Carrier, _ message: Int, _ count: Int) -> Contender {
        Contender(name: carrier.name) { pair in
            let (there, back) = try carrier.bothOpened(message)
            let outcome = try pair.run(
                carrier.name, asking(there, back, count) { try ask(there, back, $0) }, answering(there, back, count))
            return measurement(outcome, count)
        }
    }

    /// So many go before, through the same memory.
    private static func warm(_ count: Int) -> Int { max(100, count / 20) }

    /// - Parameter work: asks once for each of these numbers, and says how many answers were wrong.
    static func asking(
        _ there: any CarrierChannel, _ back: any CarrierChannel, _ count: Int,
        work: @escaping (Range<Int>) throws -> UInt64
    ) -> ProcessPair.Half {
        let few = warm(count)
        return .init(
            prepare: {
                guard try ask(there, back, 0..<few) == 0 else {
                    throw BenchError(
                        tried: "read an answer", happened: "it was not what was asked",
                        remedy: "the ring, or the queue, is broken")
                }
            }, checking: { try work(few..<few + count) })
    }

    static func answering(_ there: any CarrierChannel, _ back: any CarrierChannel, _ count: Int) -> ProcessPair.Half {
        .init(
            prepare: { try answer(there, back, warm(count)) }, sending: { try answer(there, back, count) })
    }

    /// - Parameter each: after each round trip.
    /// - Returns: how many answers were not what was asked; returns at the first of them.
    @inline(__always)
    static func ask(
        _ there: any CarrierChannel, _ back: any CarrierChannel, _ numbers: Range<Int>, each: () -> Void = {}
    ) throws -> UInt64 {
        let own = PrivateBytes(there.message)
        for number in numbers {
            own.bytes.storeBytes(of: UInt64(number), as: UInt64.self)
            try there.send(UnsafeRawBufferPointer(own.bytes))
            // So that an answer that leaves the memory as it was is seen.
            own.bytes.storeBytes(of: UInt64.max, as: UInt64.self)
            try back.receive(own.bytes)
            if own.bytes.load(as: UInt64.self) != UInt64(number) { return 1 }
            each()
        }
        return 0
    }

    private static func answer(_ there: any CarrierChannel, _ back: any CarrierChannel, _ count: Int) throws {
        let own = PrivateBytes(there.message)
        for _ in 0..<count {
            try there.receive(own.bytes)
            try back.send(UnsafeRawBufferPointer(own.bytes))
        }
    }
}

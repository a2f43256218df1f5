// SPDX-License-Identifier: Apache-2.0
import RingBuffer

/// A message there and one back, each waited for.
enum RoundTripCells {
    /// Polling: nobody sleeps, unless the kernel lets it.
    static func polling(message: Int, count: Int, _ carriers: [any Carrier]) throws -> Cell {
        let taking = try carriers.filter { try $0.open(message: message) != nil && $0.batch == 1 }
        let bounce = Contender(name: Self.bounce) { pair in
            let outcome = try pair.run(.init(work: { 0 }), .init(work: { 0 }))
            return Measurement(value: (outcome.bounceBefore + outcome.bounceAfter) / 2, regime: outcome.regime)
        }
        let carried = taking.map { carrier in
            contender(carrier, message, carrier is KernelCarrier ? max(count / 10, 200) : count)
        }
        return Cell(
            id: "round-trip-\(message)", title: "\(ByteText.of(message)) there and back", unit: "ns",
            lowerIsBetter: true, contenders: [bounce] + carried)
    }

    /// Who finds nothing sleeps.
    static func blocking(message: Int, count: Int) -> Cell {
        let carriers: [any Carrier] = [BlockingRing(), EventPair(), FutexPair()]
        return Cell(
            id: "blocking-\(message)", title: "\(ByteText.of(message)) there and back, asleep between", unit: "ns",
            lowerIsBetter: true,
            contenders: carriers.map { contender($0, message, count) })
    }

    /// Through agents, or relays.
    static func pump(message: Int, count: Int, _ carriers: [any Carrier]) -> Cell {
        Cell(
            id: "pump-round-trip", title: "\(ByteText.of(message)) there and back, through the agents", unit: "ns",
            lowerIsBetter: true, contenders: carriers.map { contender($0, message, count) })
    }

    private static func contender(_ carrier: any Carrier, _ message: Int, _ count: Int) -> Contender {
        Contender(name: carrier.name) { try measure(carrier, message, count, $0) }
    }

    static let bounce = "line bounce"

    private static func measure(
        _ carrier: any Carrier, _ message: Int, _ count: Int, _ pair: ProcessPair
    ) throws -> Measurement {
        guard let (there, back) = try carrier.openBoth(message: message) else {
            throw MessageCells.closed(carrier)
        }
        let few = max(100, count / 20)
        let outcome = try pair.run(
            .init(
                prepare: { _ = try Self.ask(there, back, message, 0..<few) },
                work: { try Self.ask(there, back, message, few..<few + count) }),
            .init(
                prepare: { try Self.answer(there, back, message, few) },
                work: {
                    try Self.answer(there, back, message, count); return 0
                })
        ).checked(carrier.name)
        return Measurement(value: Double(outcome.nanoseconds) / Double(count), regime: outcome.regime)
    }

    /// - Returns: how many answers were not what was asked.
    static func ask(
        _ there: any CarrierChannel, _ back: any CarrierChannel, _ message: Int, _ numbers: Range<Int>
    ) throws -> UInt64 {
        let own = PrivateBytes(message)
        var wrong: UInt64 = 0
        for number in numbers {
            own.bytes.storeBytes(of: UInt64(number), as: UInt64.self)
            try there.send(UnsafeRawBufferPointer(own.bytes))
            own.bytes.storeBytes(of: UInt64.max, as: UInt64.self)
            try back.receive(own.bytes)
            if own.bytes.load(as: UInt64.self) != UInt64(number) { wrong += 1 }
        }
        return wrong
    }

    static func answer(
        _ there: any CarrierChannel, _ back: any CarrierChannel, _ message: Int, _ count: Int
    ) throws {
        let own = PrivateBytes(message)
        for _ in 0..<count {
            try there.receive(own.bytes)
            try back.send(UnsafeRawBufferPointer(own.bytes))
        }
    }
}

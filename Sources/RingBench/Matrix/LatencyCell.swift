// SPDX-License-Identifier: Apache-2.0

/// Round trips taken one by one: the percentiles need each. The clock costs some tens of nanoseconds a time, so that the
/// mean is taken elsewhere (``RoundTripCells``).
enum LatencyCell {
    static func cell(message: Int, count: Int, _ carriers: [any Carrier]) -> Cell {
        Cell(
            id: "latency-\(message)", title: "\(ByteText.of(message)) there and back, one by one", unit: "ns",
            lowerIsBetter: true,
            contenders: carriers.map { carrier in
                Contender(name: carrier.name) { try measure(carrier, message, count, $0) }
            })
    }

    private static func measure(
        _ carrier: any Carrier, _ message: Int, _ count: Int, _ pair: ProcessPair
    ) throws -> Measurement {
        guard let (there, back) = try carrier.openBoth(message: message) else { throw MessageCells.closed(carrier) }
        let few = max(100, count / 20)
        let times = try SharedArea(count * 4)
        let outcome = try pair.run(
            .init(
                prepare: { _ = try RoundTripCells.ask(there, back, message, 0..<few) },
                work: { try ask(there, back, message, count, times) }),
            .init(
                prepare: { try RoundTripCells.answer(there, back, message, few) },
                work: {
                    try RoundTripCells.answer(there, back, message, count); return 0
                })
        ).checked(carrier.name)
        let all = (0..<count).map { times.base.load(fromByteOffset: 4 * $0, as: UInt32.self) }
        let median = all.sorted()[count / 2]
        return Measurement(value: Double(median), regime: outcome.regime, latencies: all)
    }

    private static func ask(
        _ there: any CarrierChannel, _ back: any CarrierChannel, _ message: Int, _ count: Int, _ times: SharedArea
    ) throws -> UInt64 {
        var wrong: UInt64 = 0
        for number in 0..<count {
            let start = Board.now
            wrong += try RoundTripCells.ask(there, back, message, number..<number + 1)
            let spent = UInt32(clamping: Board.now - start)
            times.base.storeBytes(of: spent, toByteOffset: 4 * number, as: UInt32.self)
        }
        return wrong
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Round trips taken one by one: the percentiles need each. The clock costs some tens of nanoseconds a time, so that
/// the mean is taken elsewhere (``RoundTripCells``).
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
        let (there, back) = try carrier.bothOpened(message)
        let times = try SharedArea(count * 4)
        let outcome = try pair.run(
            carrier.name,
            RoundTripCells.asking(there, back, count) { numbers in
                var place = times.base
                var before = Board.now
                // One look at the clock a round trip: where one ends, the next begins.
                return try RoundTripCells.ask(there, back, numbers) {
                    let now = Board.now
                    place.storeBytes(of: UInt32(clamping: now - before), as: UInt32.self)
                    place += 4
                    before = now
                }
            }, RoundTripCells.answering(there, back, count))
        let all = (0..<count).map { times.base.load(fromByteOffset: 4 * $0, as: UInt32.self) }
        let median = all.sorted()[count / 2]
        return Measurement(value: Double(median), regime: outcome.regime, latencies: all)
    }
}

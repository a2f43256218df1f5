// SPDX-License-Identifier: Apache-2.0
import RingBuffer

/// Messages one way, as many as go.
enum MessageCells {
    static func cell(message: Int, count: Int, _ carriers: [any Carrier]) throws -> Cell {
        let taking = try carriers.filter { try $0.open(message: message) != nil }
        return Cell(
            id: "messages-\(message)", title: "\(ByteText.of(message)) messages", unit: "M/s", lowerIsBetter: false,
            contenders: taking.map { carrier in
                Contender(name: carrier.name) { pair in
                    try measure(carrier, message, carrier is KernelCarrier ? max(count / 16, 200) : count, pair)
                }
            })
    }

    private static func measure(
        _ carrier: any Carrier, _ message: Int, _ count: Int, _ pair: ProcessPair
    ) throws -> Measurement {
        let (warm, hot) = (try carrier.open(message: message), try carrier.open(message: message))
        guard let warm, let hot else { throw Self.closed(carrier) }
        let few = max(100, count / 20)
        let outcome = try pair.run(
            .init(
                prepare: { try warm.produce(count: few) },
                work: {
                    try hot.produce(count: count); return 0
                }),
            .init(prepare: { _ = try warm.consume(count: few) }, work: { try hot.consume(count: count) })
        ).checked(carrier.name)
        return Measurement(value: Double(count) * 1000 / Double(outcome.nanoseconds), regime: outcome.regime)
    }

    static func closed(_ carrier: any Carrier) -> BenchError {
        BenchError(tried: "open \(carrier.name)", happened: "it takes no such messages", remedy: "leave it out")
    }
}

/// "64 B", "4 KiB".
enum ByteText {
    static func of(_ count: Int) -> String {
        count % (1 << 20) == 0 ? "\(count >> 20) MiB" : count % 1024 == 0 ? "\(count >> 10) KiB" : "\(count) B"
    }
}

// SPDX-License-Identifier: Apache-2.0
import RingBuffer

/// Messages one way, as many as go.
enum MessageCells {
    /// - Parameter count: messages in each turn; a sixteenth where each goes through the kernel.
    static func cell(message: Int, count: Int, _ carriers: [any Carrier]) -> Cell {
        Cell(
            id: "messages-\(message)", title: "\(ByteText.of(message)) messages", unit: "M/s", lowerIsBetter: false,
            contenders: carriers.map { carrier in
                let own = carrier.sleeps ? max(count / 16, 200) : count
                return Contender(name: carrier.name) {
                    let outcome = try carry(carrier, message, warm: max(100, own / 20), own, $0)
                    return Measurement(
                        value: Double(own) * 1000 / Double(outcome.nanoseconds), regime: outcome.regime)
                }
            })
    }

    /// - Parameter warm: so many go before, through the same memory: pages are touched, connections made, buffers
    ///   grown.
    static func carry(
        _ carrier: any Carrier, _ message: Int, warm: Int, _ count: Int, _ pair: ProcessPair
    ) throws -> ProcessPair.Outcome {
        let channel = try carrier.opened(message)
        return try pair.run(
            carrier.name,
            .init(prepare: { try channel.produce(count: warm) }, sending: { try channel.produce(count: count) }),
            .init(
                prepare: { try channel.mustConsume(count: warm) }, checking: { try channel.consume(count: count) }))
    }
}

/// "64 B", "4 KiB".
enum ByteText {
    static func of(_ count: Int) -> String {
        count % (1 << 20) == 0 ? "\(count >> 20) MiB" : count % 1024 == 0 ? "\(count >> 10) KiB" : "\(count) B"
    }
}

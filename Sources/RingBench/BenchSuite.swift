// SPDX-License-Identifier: Apache-2.0

/// Which cells there are, and who takes part in each.
final class BenchSuite {
    private let work: Int
    private let agent: String
    private let processors: [Int32]
    private let queues: [ForeignQueue]
    /// Peers that this machine does not have, and why.
    let missing: [String]

    static let names = [
        "messages-64", "messages-512", "messages-4096", "messages-65536", "stream", "round-trip-64", "latency-64",
        "blocking-64", "pump-stream", "pump-round-trip",
    ]

    /// - Parameters:
    ///   - work: percent of what each turn usually does.  - peers: the folder with other queues.
    ///   - agent: a built `ringway`.
    init(work: Int, peers: String, agent: String, processors: [Int32]) {
        (self.work, self.agent, self.processors) = (work, agent, processors)
        (queues, missing) = ForeignQueue.all(in: peers)
    }

    /// Those that are wanted, by name.
    func cells(_ isWanted: (String) -> Bool) throws -> [Cell] {
        try Self.names.filter(isWanted).map(cell)
    }

    private func some(_ count: Int) -> Int { max(1, count * work / 100) }

    private func cell(_ name: String) throws -> Cell {
        let rings: [any Carrier] = [RingCarrier(), RingCarrier(batch: 32), OneLockRing()]
        let all = rings + queues + KernelCarrier.Kind.allCases.map(KernelCarrier.init)
        switch name {
        case "messages-64": return try MessageCells.cell(message: 64, count: some(2_000_000), all)
        case "messages-512": return try MessageCells.cell(message: 512, count: some(500_000), all)
        case "messages-4096": return try MessageCells.cell(message: 4096, count: some(100_000), all)
        case "messages-65536": return try MessageCells.cell(message: 65_536, count: some(8_000), all)
        case "stream": return StreamCells.cell(megabytes: some(512))
        case "round-trip-64": return try RoundTripCells.polling(message: 64, count: some(50_000), all)
        case "latency-64":
            let few: [any Carrier] = [RingCarrier(), KernelCarrier(.unixStream), KernelCarrier(.tcp)]
            return LatencyCell.cell(message: 64, count: some(20_000), few)
        case "blocking-64": return RoundTripCells.blocking(message: 64, count: some(5_000))
        case "pump-stream":
            return StreamCells.pump(
                megabytes: some(256), try pumps() + [KernelCarrier(.unixStream), KernelCarrier(.tcp)])
        default:
            return RoundTripCells.pump(
                message: 64, count: some(5_000), try pumps() + [KernelCarrier(.unixStream), KernelCarrier(.tcp)])
        }
    }

    private func pumps() throws -> [any Carrier] {
        [
            try PumpCarrier(agent: agent, processors: processors),
            try RelayOverTCP(processors: processors),
        ]
    }
}

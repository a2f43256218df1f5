// SPDX-License-Identifier: Apache-2.0
import RingBuffer

/// Which cells there are, and who takes part in each.
final class BenchSuite {
    private let work: Int
    private let agent: String
    private let processors: [Int32]
    private let queues: [ForeignQueue]
    /// Peers that this machine does not have, and why.
    private(set) var missing: [String]

    static let names = [
        "messages-64", "messages-512", "messages-4096", "messages-65536", "stream", "round-trip-64", "record-56",
        "latency-64", "blocking-64", "pump-stream", "pump-round-trip", "direct-stream", "direct-round-trip",
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
        let kernel = KernelCarrier.Kind.allCases.map(KernelCarrier.init)
        switch name {
        case "messages-64": return messages(64, 2_000_000, kernel)
        case "messages-512": return messages(512, 500_000, kernel)
        case "messages-4096": return messages(4096, 100_000, kernel)
        case "messages-65536": return messages(65_536, 8_000, kernel)
        case "stream":
            return StreamCells.cell(
                megabytes: some(512), taking(StreamCells.write, StreamCells.rings + kernelStreams([.pipe])))
        case "round-trip-64":
            // Between round trips there is nothing to look away from, and no batch.
            let single = (queues as [any Carrier]).filter { $0.batch == 1 }
            return RoundTripCells.polling(
                message: 64, count: some(50_000), taking(64, [RingCarrier(), OneLockRing()] + single + kernel))
        case "record-56":
            return RoundTripCells.polling(
                id: name, message: LineRecord.payload, count: some(50_000), [LineCarrier(), RingCarrier()])
        case "latency-64":
            return LatencyCell.cell(
                message: 64, count: some(20_000), taking(64, [RingCarrier()] + kernelStreams([])))
        case "blocking-64": return RoundTripCells.blocking(message: 64, count: some(5_000))
        case "pump-stream":
            return StreamCells.pump(
                megabytes: some(256), taking(StreamCells.write, try pumps() + kernelStreams([])), runPair())
        case "direct-stream":
            return DirectCells.stream(megabytes: some(1024), try directPrograms())
        case "direct-round-trip":
            return DirectCells.roundTrip(message: 64, count: some(50_000), try directPrograms())
        default:
            return RoundTripCells.pump(
                message: 64, count: some(5_000), taking(64, try pumps() + kernelStreams([])), runPair())
        }
    }

    private func messages(_ message: Int, _ count: Int, _ kernel: [any Carrier]) -> Cell {
        let rings: [any Carrier] = [RingCarrier(), RingCarrier(batch: 32), RingCarrier(isPaced: false), OneLockRing()]
        return MessageCells.cell(message: message, count: some(count), taking(message, rings + queues + kernel))
    }

    private func kernelStreams(_ more: [KernelCarrier.Kind]) -> [any Carrier] {
        ([.unixStream] + more + [.tcp]).map(KernelCarrier.init)
    }

    /// Those of them that take such messages. One that cannot be opened here is named as missing, once.
    private func taking(_ message: Int, _ carriers: [any Carrier]) -> [any Carrier] {
        carriers.filter { carrier in
            do { return try carrier.open(message: message) != nil } catch {
                if !missing.contains("\(error)") { missing.append("\(error)") }
                return false
            }
        }
    }

    /// nil where it cannot be had here, and is named as missing.
    private func runPair() -> RunPair? {
        do { return try RunPair(agent: agent, processors: processors) } catch {
            if !missing.contains("\(error)") { missing.append("\(error)") }
            return nil
        }
    }

    private func directPrograms() throws -> DirectPrograms {
        try DirectPrograms(agent: agent, processors: processors)
    }

    private func pumps() throws -> [any Carrier] {
        try [Waiting.polling, .asleep].flatMap { waiting in
            [
                try PumpCarrier(agent: agent, processors: processors, waiting),
                try RelayOverTCP(processors: processors, waiting),
            ] as [any Carrier]
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import BenchReport
import Foundation
import USBIP

/// The guard's cost: a pair of agents with it and one without take turns, so that what else the machine does meets
/// both.
final class GuardCost {
    /// What one turn does.
    struct Work {
        var megabytes: Int
        var requests: Int

        static let usual = Work(megabytes: 32, requests: 2000)
    }

    /// One pair, and the connection through it.
    private final class Contender {
        let pair: AgentPair
        let importer: BenchImporter
        let exporter: BenchExporter
        var rates: [Double] = []
        var latencies: [Double] = []

        init(_ agent: String, guarded: Bool) throws {
            guard let busID = BenchDevice.busID else {
                throw BenchError(tried: "name a device", happened: "1-1 is no bus id", remedy: "mend the program")
            }
            pair = try AgentPair(agent: agent, ["--guard=\(guarded ? "on" : "off")"])
            exporter = BenchExporter(listener: try pair.listen(port: USBIPProtocol.port), busID: busID)
            importer = try BenchImporter(try pair.open(port: USBIPProtocol.port), busID: busID)
            pair.hide()
        }

        func turn(_ work: Work) throws {
            let block = 128 << 10
            let bulk = try ContinuousClock().measure {
                for _ in 0..<(work.megabytes << 20) / block { try importer.readBlock(block) }
            }
            let latency = try ContinuousClock().measure {
                for _ in 0..<work.requests { try importer.askTwoBytes() }
            }
            rates.append(Double(work.megabytes << 20) / 1e6 / (bulk / .seconds(1)))
            latencies.append(latency / .microseconds(1) / Double(work.requests))
        }
    }

    private let work: Work
    private let guarded: Contender
    private let plain: Contender

    init(agent: String, work: Work) throws {
        self.work = work
        guarded = try Contender(agent, guarded: true)
        plain = try Contender(agent, guarded: false)
    }

    func measure(rounds: Int, progress: (String) -> Void) throws -> GuardValues {
        // One turn of each that does not count: pages are touched, sockets grow.
        for contender in [guarded, plain] {
            try contender.turn(work)
            contender.rates = []
            contender.latencies = []
        }
        for round in 0..<rounds {
            progress("\rround \(round + 1) of \(rounds)")
            // Whoever is second finds warmer caches: they change places.
            for contender in round % 2 == 0 ? [guarded, plain] : [plain, guarded] { try contender.turn(work) }
        }
        progress("\r\u{1B}[K")
        return GuardValues(
            on: .init(rates: guarded.rates, latencies: guarded.latencies),
            off: .init(rates: plain.rates, latencies: plain.latencies))
    }
}

/// What the guard's cost is made from: one value for each round.
struct GuardValues: Codable, Equatable {
    struct Side: Codable, Equatable {
        /// MB/s of a disk's reads.
        let rates: [Double]
        /// Microseconds of a control request.
        let latencies: [Double]
    }

    let on: Side
    let off: Side

    private var rateRatios: [Double] { zip(on.rates, off.rates).map { $0 / $1 } }
    private var latencyRatios: [Double] { zip(on.latencies, off.latencies).map { $0 / $1 } }

    var table: String {
        """
        guard on against off, \(on.rates.count) rounds in turns; median (quartiles)

        | what | guard on | guard off | on / off, round by round |
        |---|---|---|---|
        | bulk, 128 KiB a transfer, MB/s | \(Quartiles(on.rates).text(0)) | \(Quartiles(off.rates).text(0)) \
        | \(Quartiles(rateRatios).text(3)) |
        | control request, µs (lower is better) | \(Quartiles(on.latencies).text(1)) \
        | \(Quartiles(off.latencies).text(1)) | \(Quartiles(latencyRatios).text(3)) |
        """
    }

    var goals: [GoalResult] {
        let note = "\(on.rates.count) rounds"
        return [
            GoalResult(
                Goal("guard on against off, bulk of 128 KiB", .atLeast, 0.95, aim: 0.98), ratios: rateRatios, note: note
            ),
            GoalResult(
                Goal("guard on against off, control request", .atMost, 1.1, aim: 1.03), ratios: latencyRatios,
                note: note),
        ]
    }
}

// SPDX-License-Identifier: Apache-2.0
import BenchReport
import Foundation
import Testing

@testable import Rig

/// What guests print.
@Suite struct BenchLinesTests {
    private static let figure =
        #"figure {"requests":4,"bytes":4000000,"nanoseconds":2000000000,"p50":1500,"p90":3,"p99":4,"max":5}"#

    private static func status(_ rung: Int) -> String {
        let counters = #"{"bytes-in":7,"doorbells-rung":\#(rung),"wake-ups":\#(2 * rung)}"#
        return #"status {"version":"0","counters":\#(counters),"channels":[]}"#
    }

    @Test func aFigure() throws {
        let figure = try BenchLines("noise\n\(Self.figure)\n").figure()
        #expect(figure.requests == 4 && figure.megabytesPerSecond == 2 && figure.microseconds == 1.5)
    }

    @Test(arguments: ["", "figure", "figure {}", "\(figure)\n\(figure)"])
    func noFigureIsNoZero(_ text: String) { #expect(throws: RigError.self) { try BenchLines(text).figure() } }

    @Test func whatAnAgentUsesLiesBetweenTheTwo() throws {
        let lines = BenchLines("\(Self.status(5))\ncpu 1000\n\(Self.figure)\ncpu 4000\n\(Self.status(9))\n")
        #expect(try lines.agentUse() == AgentUse(processorTime: 3000, doorbellsRung: 4, wakeUps: 8))
    }

    /// One time only; a kernel that does not say; another agent; a status that is none.
    @Test(arguments: [
        "\(status(5))\ncpu 1000\n\(status(9))", "\(status(5))\ncpu 0\ncpu 0\n\(status(9))",
        "\(status(5))\ncpu 4000\ncpu 1000\n\(status(9))", "\(status(9))\ncpu 1000\ncpu 4000\n\(status(5))",
        "\(status(5))\ncpu 1000\ncpu 4000\nstatus no agent is running",
    ])
    func noUseIsNoZero(_ text: String) { #expect(throws: RigError.self) { try BenchLines(text).agentUse() } }

    @Test func urbsAreCountedTwice() throws {
        #expect(try BenchLines("urbs 5\n\(Self.figure)\nurbs 17\n").urbs() == 12)
        #expect(throws: RigError.self) { try BenchLines("urbs 5\n").urbs() }
        #expect(throws: RigError.self) { try BenchLines("urbs 5\nurbs 4\n").urbs() }
    }

    @Test func whatTCPHasSent() throws {
        let text = "Tcp: RtoMin OutSegs RetransSegs InErrs\nTcp: 200 1000 7 0\n"
        let counts = try BenchNetwork(text)
        #expect(counts == BenchNetwork(sent: 1000, sentAgain: 7))
        #expect(counts.since(BenchNetwork(sent: 400, sentAgain: 5)) == BenchNetwork(sent: 600, sentAgain: 2))
        #expect(throws: RigError.self) { try BenchNetwork("Tcp: OutSegs\nTcp: 1\n") }
    }
}

/// What follows from turns.
@Suite struct BenchRecordTests {
    private static let settings = BenchSettings(
        rounds: 3, megabytes: 1, requests: 10, idleSeconds: 10, mtu: 1500, parts: BenchSettings.Part.allCases,
        configuration: [])

    private static func record() -> BenchRecord {
        let environment = RigEnvironment(root: URL(fileURLWithPath: "/"))
        return BenchRecord(
            host: BenchHost(environment, accelerator: .tcg, guestKernel: "6.1"), settings: settings)
    }

    /// A turn in which a request takes `nanoseconds`.
    private static func sample(
        _ contender: String, _ work: BenchWork, _ nanoseconds: Double, phase: String, round: Int,
        agents: AgentUse? = nil
    ) -> BenchSample {
        let figure = BenchFigure(
            requests: 1, bytes: 1_000_000, nanoseconds: nanoseconds, p50: nanoseconds, p90: 0, p99: 0, max: 0)
        return BenchSample(
            phase: phase, round: round, contender: contender, work: work, figure: figure, urbs: 3,
            importer: agents, exporter: agents)
    }

    private static func verdicts(_ record: BenchRecord) -> [String: GoalResult] {
        Dictionary(uniqueKeysWithValues: record.judged().results.map { ($0.goal.what, $0) })
    }

    @Test func withoutATurnNothingIsMet() {
        #expect(Self.record().judged().results.allSatisfy { $0.verdict == .notMeasured })
    }

    /// The ring takes half of TCP's time in each round, whatever the rounds are like: that is twice the rate, and half
    /// of the latency. Rounds are paired by number, not by place.
    @Test func ratiosAreOfOneRound() throws {
        var record = Self.record()
        for work in [Self.settings.bulkRead, Self.settings.control] {
            for (round, time) in [(0, 1e6), (1, 64e6), (2, 3e6)] {
                record.samples.append(
                    Self.sample("ring", work, time, phase: BenchRecord.transports, round: round))
                record.samples.insert(
                    Self.sample("tcp", work, 2 * time, phase: BenchRecord.transports, round: round), at: 0)
            }
            // Another phase's turns are not mixed in.
            record.samples.append(Self.sample("ring", work, 1, phase: BenchRecord.guards, round: 0))
            // A round of one contender only is none.
            record.samples.append(Self.sample("ring", work, 1, phase: BenchRecord.transports, round: 3))
        }
        let verdicts = Self.verdicts(record)
        let bulk = try #require(verdicts["USB bulk read, 1 MiB, ring vs TCP over virtio-net"])
        #expect(bulk.ratio == Quartiles([2, 2, 2]) && bulk.count == 3 && bulk.verdict == .met && !bulk.reachesAim)
        let latency = try #require(verdicts["control URB latency, ring vs TCP"])
        #expect(latency.ratio == Quartiles([0.5, 0.5, 0.5]) && latency.verdict == .met && latency.reachesAim)
        #expect(verdicts["guard on vs off: bulk"]?.verdict == .notMeasured)
    }

    @Test func theGuardIsAgainstTheSameAgents() throws {
        var record = Self.record()
        for (contender, time) in [("ring", 10.0), ("unguarded", 8.0)] {
            for work in [Self.settings.bulkRead, Self.settings.control] {
                record.samples.append(Self.sample(contender, work, time, phase: BenchRecord.guards, round: 0))
            }
        }
        let verdicts = Self.verdicts(record)
        #expect(verdicts["guard on vs off: bulk"]?.ratio?.median == 0.8)
        #expect(verdicts["guard on vs off: bulk"]?.verdict == .missed)
        #expect(verdicts["guard on vs off: latency"]?.ratio?.median == 1.25)
        #expect(verdicts["guard on vs off: latency"]?.verdict == .missed)
    }

    /// Of both agents, for a byte; a window's is that of the agent which took more.
    @Test func agentsTime() throws {
        var record = Self.record()
        for (geometry, time) in [(BenchGeometry.one, 2e6), (.many, 3e6), (.large, 1e6)] {
            let use = AgentUse(processorTime: time, doorbellsRung: 6, wakeUps: 7)
            let sample = Self.sample(
                geometry.name, Self.settings.bulkRead, 1, phase: BenchGuests.geometryPhase, round: 0, agents: use)
            #expect(sample.processorTimePerRequest == 2 * time / 1e3 && sample.wakeUpsPerRequest == 14)
            #expect(sample.urbsPerRequest == 3)
            #expect(sample.processorTimePerMegabyte == 2 * time / 1e6 && sample.doorbellsPerMegabyte == 12)
            record.samples.append(sample)
        }
        let quiet = AgentUse(processorTime: 1e7, doorbellsRung: 0, wakeUps: 0)
        let busier = AgentUse(processorTime: 1e8, doorbellsRung: 1, wakeUps: 1)
        record.idle = [
            BenchIdle(state: BenchRecord.linked, seconds: 10, importer: quiet, exporter: busier),
            BenchIdle(state: BenchRecord.attached, seconds: 10, importer: busier, exporter: busier),
        ]
        let verdicts = Self.verdicts(record)
        #expect(verdicts["cost per byte, 64 channels vs 1"]?.ratio?.median == 1.5)
        #expect(verdicts["cost per byte, ring of 4 MiB vs 64 KiB"]?.ratio?.median == 0.5)
        #expect(verdicts["agent CPU when idle and linked, percent of a core"]?.ratio == Quartiles([1]))
        let bells = try #require(verdicts["doorbells while idle and linked"])
        #expect(bells.ratio == Quartiles([1]) && bells.verdict == .missed)
    }

    @Test func whatIsPrintedAndWritten() throws {
        var record = Self.record()
        record.missing = [BenchRecord.Missing(what: "vsock", why: "no device")]
        for contender in ["ring", "tcp"] {
            record.samples.append(
                Self.sample(contender, Self.settings.bulkRead, 1e9, phase: BenchRecord.transports, round: 0))
        }
        record.goals = record.judged()
        let lines = record.report.split(separator: "\n").map(String.init)
        #expect(lines.last == "goals: 0 met, 1 missed, 7 not measured")
        #expect(lines.contains("missing: vsock: no device"))
        let row = "| bulk read, 1 MiB a request, MB/s | 1.0 (1.0 to 1.0) | 1.0 (1.0 to 1.0) | 1.00 (1.00 to 1.00) |"
        #expect(lines.contains(row))
        let written = try JSONDecoder().decode(BenchRecord.self, from: record.json)
        #expect(written.samples == record.samples && written.host == record.host && written.goals == record.goals)
    }

    @Test func everybodyIsFirstAtTimes() {
        #expect((0..<3).map { ["a", "b", "c"].inTurn($0).joined() } == ["abc", "bca", "cab"])
        #expect(["a", "b"].inTurn(-1) == ["b", "a"] && [Int]().inTurn(1).isEmpty)
    }

    @Test func aProcessorsName() {
        #expect(BenchHost.processor(in: "processor\t: 0\nmodel name\t: A: B\nmodel name\t: C\n") == "A: B")
        #expect(BenchHost.processor(in: "processor: 0\n") == "unknown")
    }

    /// Unequal pairs of sums are what it is for.
    @Test func integrity() {
        func holds(_ sums: [String]) -> Bool {
            BenchIntegrity(
                contender: .ring, hostBefore: sums[0], read: sums[1], written: sums[2], hostAfter: sums[3]
            ).holds
        }
        #expect(holds(["a", "a", "b", "b"]))
        // Wrong when read, wrong when written, and content that was there before.
        #expect(!holds(["a", "x", "b", "b"]) && !holds(["a", "a", "b", "x"]) && !holds(["a", "a", "a", "a"]))
    }
}

@Suite struct MachineNetworkTests {
    private func words(_ network: MachineNetwork?) throws -> [String] {
        let settings = MachineSettings(
            name: "exporter", architecture: .x86_64, accelerator: .tcg, memory: 128 << 20,
            kernel: URL(fileURLWithPath: "/k"), initramfs: URL(fileURLWithPath: "/i"), doorbell: nil,
            network: network, devices: [])
        return settings.arguments(
            fixed: QemuOptions(), sockets: MachineSockets(console: "/c", shell: "/s", monitor: "/m"),
            console: URL(fileURLWithPath: "/l"))
    }

    /// Only a machine that is given a network has a card.
    @Test func noCardUnlessGiven() throws {
        let words = try words(nil)
        #expect(!words.contains("-netdev") && !words.contains { $0.contains("virtio-net") })
    }

    @Test func eachIsTheOthersNeighbour() throws {
        let ports = try MachineNetwork.Ports.free()
        #expect(ports.exporter != ports.importer && ports.exporter > 0 && ports.importer > 0)
        func end(_ name: String, _ port: UInt16) -> String {
            "\(name).type=inet,\(name).host=127.0.0.1,\(name).port=\(port)"
        }
        let exporter = try words(MachineNetwork(.exporter, ports))
        let importer = try words(MachineNetwork(.importer, ports))
        #expect(exporter.contains("dgram,id=lan,\(end("local", ports.exporter)),\(end("remote", ports.importer))"))
        #expect(importer.contains("dgram,id=lan,\(end("local", ports.importer)),\(end("remote", ports.exporter))"))
        #expect(Set(exporter.filter { $0.contains("mac=") }).isDisjoint(with: importer))
    }
}

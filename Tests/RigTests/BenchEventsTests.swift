// SPDX-License-Identifier: Apache-2.0
import BenchReport
import Foundation
import Testing

@testable import Rig

/// Interrupts and sound, by the ring and by TCP.
@Suite struct BenchEventsTests {
    private static let settings = BenchSettings(
        rounds: 3, megabytes: 1, requests: 300, idleSeconds: 10, mtu: 1500, parts: [.events], configuration: [])

    /// A turn whose half of events takes so many microseconds, and whose slowest a hundred times as long.
    private static func sample(_ contender: String, _ work: BenchWork, _ half: Double, round: Int) -> BenchSample {
        let figure = BenchFigure(
            requests: 50, bytes: 400, nanoseconds: 1e9, p50: half * 1000, p90: 0, p99: half * 100_000, max: 0)
        return BenchSample(
            phase: BenchGuests.eventPhase, round: round, contender: contender, work: work, figure: figure, urbs: 3,
            importer: nil, exporter: nil)
    }

    @Test func rowsOfBothPercentiles() {
        let environment = RigEnvironment(root: URL(fileURLWithPath: "/"))
        var record = BenchRecord(
            host: BenchHost(environment, accelerator: .tcg, guestKernel: "6.1"), settings: Self.settings)
        #expect(!record.report.contains("Events, µs"))
        // Ratios are of one round: what the rounds are like does not show in them.
        for (round, time) in [(0, 2.0), (1, 20), (2, 4)] {
            for work in Self.settings.eventWorks {
                record.samples.append(Self.sample("tcp", work, time, round: round))
                record.samples.append(Self.sample("ring", work, time / 2, round: round))
            }
        }
        let lines = record.report.split(separator: "\n").map(String.init)
        for name in ["interrupt transfer behind a request", "isochronous transfers, from their rhythm"] {
            #expect(
                lines.contains(
                    "| \(name), 50 % | 2.0 (1.5 to 6.0) | 4.0 (3.0 to 12.0) | 0.50 (0.50 to 0.50) |"))
            #expect(
                lines.contains(
                    "| \(name), 99 % | 200.0 (150.0 to 600.0) | 400.0 (300.0 to 1200.0) | 0.50 (0.50 to 0.50) |"))
        }
        #expect(record.judged().results.allSatisfy { $0.verdict == .notMeasured })
    }

    @Test func whatTheGuestsAreAskedToDo() throws {
        let works = Self.settings.eventWorks
        #expect(works.map(\.kind) == [.interrupt, .isochronous] && works.map(\.count) == [50, 150])
        #expect(works.allSatisfy { $0.isEvent && !$0.isRate })
        #expect(Self.settings.works.allSatisfy { !$0.isEvent })
        let commands = works.map { $0.command(node: "N", device: "D", content: "C") }
        #expect(commands == ["ringway-guest-bench interrupt D 50", "ringway-guest-bench isochronous D 150"])
    }

    /// Each way has a keyboard and a sound device of its own, and they are found by their serial numbers.
    @Test func devicesOfTheirOwn() {
        let devices = BenchContender.withEvents.flatMap(\.eventDevices)
        #expect(devices.map(\.name) == ["keys-ring", "box-ring", "keys-tcp", "box-tcp"])
        #expect(devices.map(\.kind) == [.keyboard, .sound, .keyboard, .sound])
        #expect(BenchContender.ring.exportScript(of: "keys-ring").contains("usb_serial keys-ring"))
        #expect(BenchContender.ring.attachScript("1-1", of: "keys-ring").hasPrefix("ringway attach 1-1 "))
        let tcp = BenchContender.tcp
        #expect(tcp.attachScript("1-2", of: "box-tcp").contains("usb_serial box-tcp"))
        // One usbipd serves all that TCP has.
        #expect(tcp.exportScript(of: "box-tcp").contains("pidof usbipd >/dev/null || usbipd -D"))
    }
}

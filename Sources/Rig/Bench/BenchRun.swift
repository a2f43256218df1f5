// SPDX-License-Identifier: Apache-2.0
import Foundation

/// USB over the ring against USB/IP over TCP, in two virtual machines: contenders take turns, so that what else the
/// machine does meets all of them.
public final class BenchRun {
    private let settings: BenchSettings
    private let environment: RigEnvironment
    private let folder: RunFolder
    private let guests: BenchGuests
    private var progress: Progress { environment.progress }

    /// Builds the images; boots nothing yet.
    public init(_ settings: BenchSettings, environment: RigEnvironment) throws {
        self.settings = settings
        self.environment = environment
        let folder = try RunFolder.make(name: "bench", root: environment.root)
        self.folder = folder
        _ = Cleanup.shared.add { folder.removeAllButLogs() }
        guests = try BenchGuests(settings, environment: environment, folder: folder)
    }

    /// Measures everything.
    public func run() throws -> BenchRecord {
        do {
            return try measure()
        } catch {
            guests.guests.diagnose(progress)
            throw error
        }
    }

    /// Ends the guests and removes what only a run needs. The logs stay.
    public func end() { guests.guests.end() }

    private func measure() throws -> BenchRecord {
        try progress.step("boot both guests and link their agents") { try guests.boot(settings) }
        let kernel = try guests.importer.demand("uname -r", "ask for the kernel")
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let host = BenchHost(environment, accelerator: guests.guests.accelerator, guestKernel: kernel)
        var record = BenchRecord(host: host, settings: settings)
        record.missing = Self.missing
        if settings.has(.idle) { record.idle += try measureIdle(BenchRecord.linked) }
        try attach(.ring, &record)
        if settings.has(.idle) { record.idle += try measureIdle(BenchRecord.attached) }
        if settings.has(.transports) {
            try attach(.tcp, &record)
            let before = try guests.network()
            record.samples += try takeTurns(BenchRecord.transports, [.ring, .tcp], settings.works)
            record.network = try guests.network().since(before)
        }
        if settings.has(.events) {
            try progress.step("attach a keyboard and a sound device by each way") {
                for contender in BenchContender.withEvents { try guests.attachEvents(contender) }
            }
            record.samples += try takeTurns(BenchGuests.eventPhase, BenchContender.withEvents, settings.eventWorks)
            try guests.releaseEvents()
        }
        if settings.has(.guards) {
            try attach(.unguarded, &record)
            let works = [settings.bulkRead, settings.control]
            record.samples += try takeTurns(BenchRecord.guards, [.ring, .unguarded], works)
        }
        if settings.has(.geometries) {
            try guests.release(.ring)
            record.samples += try guests.measureGeometries(settings, progress: progress)
        }
        record.goals = record.judged()
        return record
    }

    private func measureIdle(_ state: String) throws -> [BenchIdle] {
        try progress.step("agents with nothing to do: \(state)") {
            try (0..<settings.idleWindows).map { _ in
                try guests.measureIdle(state, seconds: settings.idleSeconds)
            }
        }
    }

    private func attach(_ contender: BenchContender, _ record: inout BenchRecord) throws {
        let integrity = try progress.step("attach the disk of \(contender.rawValue), and compare every byte") {
            try guests.attach(contender)
            return try guests.checkIntegrity(of: contender, folder: folder, settings: settings)
        }
        record.integrity.append(integrity)
    }

    /// At each kind of work every contender has its turn before the next kind: what is compared lies close together.
    private func takeTurns(
        _ phase: String, _ contenders: [BenchContender], _ works: [BenchWork]
    ) throws -> [BenchSample] {
        var samples: [BenchSample] = []
        // One round does not count: caches fill, sockets grow.
        for round in -1..<settings.rounds {
            progress.note("\(phase): \(round < 0 ? "warming up" : "round \(round + 1) of \(settings.rounds)")")
            for work in works {
                for contender in contenders.inTurn(round) {
                    let sample = try guests.measure(contender, work, phase: phase, round: round)
                    if round >= 0 { samples.append(sample) }
                }
            }
        }
        return samples
    }

    private static var missing: [BenchRecord.Missing] {
        let device = "/dev/vhost-vsock"
        let why =
            access(device, F_OK) == 0
            ? "usbip and usbipd speak TCP only, and this benchmark has no other program for vsock"
            : "there is no \(device) on this machine"
        return [BenchRecord.Missing(what: "USB/IP over vsock", why: why)]
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A keyboard and a sound device for each of ring and TCP: what comes by itself, and what has to keep a rhythm.
extension BenchContender {
    /// Who has them.
    static let withEvents: [BenchContender] = [.ring, .tcp]

    private static let works: [BenchWork.Kind] = [.interrupt, .isochronous]

    /// Name and serial number of the device for that kind of work.
    func device(for kind: BenchWork.Kind) -> String { "\(kind == .interrupt ? "keys" : "box")-\(rawValue)" }

    var eventDevices: [EmulatedDevice] {
        Self.works.map {
            EmulatedDevice(name: device(for: $0), kind: $0 == .interrupt ? .keyboard : .sound, bus: .xhci)
        }
    }
}

extension BenchGuests {
    static let eventPhase = "interrupts and sound"

    func player(of contender: BenchContender, for kind: BenchWork.Kind) throws -> Attached {
        let name = contender.device(for: kind)
        guard let player = players[name] else {
            throw RigError(
                tried: "use \(name)", happened: "it is not attached", remedy: "correct the benchmark: attach it before")
        }
        return player
    }

    /// Exports the contender's keyboard and sound device and attaches them. Nobody has to have a driver for them.
    func attachEvents(_ contender: BenchContender) throws {
        for device in contender.eventDevices {
            let script = contender.exportScript(of: device.name)
            let busID = try exporter.demand(script, "export \(device.name)").split(separator: "\n").last ?? ""
            let printed = try importer.demand(
                contender.attachScript(String(busID), of: device.name), "attach \(device.name)")
            let words = printed.split(separator: "\n").last?.split(separator: " ").map(String.init) ?? []
            guard words.count == 2 else {
                throw RigError(
                    tried: "attach \(device.name)", happened: "the guest names \(words) as its node and folder",
                    remedy: "read the importer's console in the run's folder")
            }
            players[device.name] = Attached(busID: String(busID), node: "", device: words[0], folder: words[1])
        }
    }

    /// Detaches what `ringway export` has offered, and takes it back: what comes next are disks alone.
    func releaseEvents() throws {
        for device in BenchContender.ring.eventDevices {
            guard let player = players.removeValue(forKey: device.name) else { continue }
            try importer.demand(BenchContender.detachScript(of: device.name), "detach \(device.name)")
            try exporter.demand(BenchContender.unexportScript(player.busID), "take back \(device.name)")
        }
    }
}

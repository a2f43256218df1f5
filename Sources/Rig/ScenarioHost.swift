// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What only the host can tell a scenario.
extension ScenarioRunner {
    func answer(_ query: HostQuery, _ arguments: [String]) throws -> String {
        switch query {
        case .sha256:
            let path = try disk(arguments[0]).path
            return String(try HostCommand("sha256sum", [path]).check().text.prefix { $0 != " " })
        case .holders:
            return try holders(of: disk(arguments[0])).sorted().joined(separator: " ")
        case .sound: return try sound(in: folder.sound(arguments[0]))
        case .packaged: return try packaged(arguments[1], in: guest(arguments[0]))
        case .kernel: return try runningKernel(of: guest(arguments[0]))
        case .packagedKernel: return try packagedKernel(of: guest(arguments[0]).image())
        case .origins:
            let labels = try guest(arguments[0]).image().manifest.entries.map { $0.origin.prefix { $0 != " " } }
            return Set(labels).sorted().joined(separator: " ")
        case .unpacked: return "\(try guest(arguments[0]).image().unpackedSize >> 10)"
        case .memoryNeeded: return "\(try guest(arguments[0]).image().memoryNeeded >> 20)"
        case .memoryGiven: return "\(try guest(arguments[0]).machine.memory >> 20)"
        case .hostile: return try attack(guest(arguments[0]), short: arguments[1], full: arguments[2])
        case .builtAgent:
            let built = AgentBinaries(root: environment.root, architecture: environment.architecture)
            return try Checksum.sha256(built.agent)
        case .sel4Log: return try sel4Log()
        }
    }

    private func attack(_ guest: ScenarioGuest, short: String, full: String) throws -> String {
        let mutations = try Self.setting("MUTATIONS") ?? Int(isFull ? full : short) ?? 0
        let seed = try Self.setting("SEED") ?? UInt64.random(in: 0..<1 << 30)
        let run = HostileRun(
            program: URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
                .appendingPathComponent("HostilePeer"),
            folder: folder
        ) { try guest.shell().run($0, timeLimit: .seconds(120)).text }
        return "seed \(seed)\n" + (try run.run(mutations: mutations, seed: seed))
    }

    /// A number that the environment sets; nil where it does not.
    private static func setting<Number: FixedWidthInteger>(_ name: String) throws -> Number? {
        guard let text = ProcessInfo.processInfo.environment[name] else { return nil }
        guard let number = Number(text), number >= 0 else {
            throw RigError(
                tried: "read \(name)=\(text)", happened: "it is no number", remedy: "give one, or leave it away")
        }
        return number
    }

    private func guest(_ name: String) throws -> ScenarioGuest {
        guard let guest = guests[name] else {
            throw RigError(tried: "find \(name)", happened: "there is no such guest", remedy: "correct the scenario")
        }
        return guest
    }

    /// What seL4 and the VMMs have printed.
    private func sel4Log() throws -> String {
        guard let board = guests.board else {
            throw RigError(
                tried: "read what seL4 has printed", happened: "these guests have a QEMU each",
                remedy: "run the scenario with `ringway-rig sel4`")
        }
        return board.log
    }

    private func disk(_ name: String) throws -> URL {
        guard guests.all.contains(where: { $0.declaration.devices.contains { $0.name == name && $0.size != nil } })
        else {
            throw RigError(tried: "find \(name)", happened: "there is no such disk", remedy: "correct the scenario")
        }
        return folder.disk(name)
    }

    /// The sha256 of a file of Debian's. The image's builder has compared the file with its package's own checksum.
    private func packaged(_ path: String, in guest: ScenarioGuest) throws -> String {
        let entry = try guest.image().manifest[path]
        guard let sum = entry?.sha256, let origin = entry?.origin, origin != "ringway" else {
            throw RigError(
                tried: "find out which package \(path) comes from",
                happened: entry == nil ? "the image of \(guest.name) has no such file" : "it is Ringway's own",
                remedy: "correct the path in the scenario")
        }
        return sum
    }

    /// The md5 of the kernel that a running QEMU was told to boot: what the kernel of this machine says of it, not what
    /// the rig meant.
    private func runningKernel(of guest: ScenarioGuest) throws -> String {
        let words = try guest.machine.identity.map { identity in
            try Data(contentsOf: URL(fileURLWithPath: "/proc/\(identity.pid)/cmdline"))
                .split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        }
        guard let words, let option = words.firstIndex(of: "-kernel"), option + 1 < words.count else {
            throw RigError(
                tried: "find the kernel of \(guest.name)", happened: "no QEMU runs with one",
                remedy: "`boot \(guest.name)` before")
        }
        return try Checksum.of([URL(fileURLWithPath: words[option + 1])], program: "md5sum")[0]
    }

    /// What the package's own list of checksums says of the kernel.
    private func packagedKernel(of image: BuiltImage) throws -> String {
        let name = "boot/vmlinuz-\(image.kernelRelease)"
        guard let sum = try image.kernelPackage.checksums()[name] else {
            throw RigError(
                tried: "find the checksum of \(name)", happened: "\(image.kernelPackage.label) has none",
                remedy: "remove the cache and try again")
        }
        let facts = ["md5": sum, "version": image.kernelPackage.package.version]
        return String(decoding: try JSONSerialization.data(withJSONObject: facts), as: UTF8.self)
    }

    /// What QEMU has written so far: 44 bytes of header, which are filled in at the end only, then the samples.
    private func sound(in file: URL) throws -> String {
        let samples = (try? Data(contentsOf: file))?.dropFirst(44) ?? Data()
        let begin = samples.firstIndex { $0 != 0 } ?? samples.endIndex
        let end = samples.lastIndex { $0 != 0 }.map { $0 + 1 } ?? begin
        let played = folder.logs.appendingPathComponent("played")
        try Data(samples[begin..<end]).write(to: played)
        defer { try? FileManager.default.removeItem(at: played) }
        let sum = try Checksum.of([played], program: "sha256sum")[0]
        return "{\"bytes\":\(end - begin),\"sha256\":\"\(sum)\"}"
    }

    /// Who has `file` open, by /proc/PID/fd.
    private func holders(of file: URL) throws -> [String] {
        let wanted = file.resolvingSymlinksInPath().path
        let pids = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }
        let holding = pids.filter { pid in
            // A process may end, or belong to somebody else, at any moment: then it has no entries.
            let folder = "/proc/\(pid)/fd"
            let entries = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            return entries.contains {
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")) == wanted
            }
        }
        return holding.map { pid in
            guests.all.first { $0.machine.identity?.pid == pid }?.name ?? "pid-\(pid)"
        }
    }
}

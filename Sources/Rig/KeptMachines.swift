// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Virtual machines that a run left up on purpose, in `.build-rig/kept.json`.
public struct KeptMachine: Codable, Sendable {
    public let name: String
    /// The run that it belongs to.
    public let run: String
    let process: ProcessIdentity
    let sockets: MachineSockets
    let socketFolder: String
    /// What its devices keep.
    let files: [String]

    public var isRunning: Bool { process.isAlive }

    /// All that were kept, the latest run last.
    public static func all(root: URL) -> [KeptMachine] {
        guard let data = try? Data(contentsOf: file(root)) else { return [] }
        return (try? JSONDecoder().decode([KeptMachine].self, from: data)) ?? []
    }

    /// The latest of that name that still runs.
    public static func find(_ name: String, root: URL) throws -> KeptMachine {
        let running = all(root: root).filter(\.isRunning)
        guard let machine = running.last(where: { $0.name == name }) else {
            let names = running.isEmpty ? "none is" : "these are: \(running.map(\.name).joined(separator: ", "))"
            throw RigError(
                tried: "find the guest \(name)", happened: "it is not running; \(names)",
                remedy: "keep the guests of a run with `make demo KEEP=1`")
        }
        return machine
    }

    /// Ends what was kept and removes its files; how many machines were still running.
    public static func clean(root: URL) -> Int {
        let machines = all(root: root)
        let running = machines.count(where: \.isRunning)
        for machine in machines {
            machine.process.kill()
            for path in machine.files + [machine.socketFolder] { try? FileManager.default.removeItem(atPath: path) }
        }
        try? FileManager.default.removeItem(at: file(root))
        return running
    }

    /// Notes `machines` besides those that were kept before and still run.
    static func add(_ machines: [KeptMachine], root: URL) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(all(root: root).filter(\.isRunning) + machines).write(to: file(root), options: .atomic)
    }

    private static func file(_ root: URL) -> URL { root.appendingPathComponent(".build-rig/kept.json") }
}

extension ScenarioRunner {
    /// Leaves the guests running when the rig ends; their names.
    ///
    /// They need the rig no more: QEMU has the shared memory and the eventfds. They cannot be restarted, though,
    /// since nobody hands those out then.
    public func keep() throws -> [String] {
        let kept = guests.all.compactMap { guest -> KeptMachine? in
            guard guest.machine.isRunning, let process = guest.machine.identity else { return nil }
            let files = guest.declaration.devices.compactMap { folder.file(of: $0)?.path }
            return KeptMachine(
                name: guest.name, run: folder.logs.lastPathComponent, process: process,
                sockets: guest.machine.sockets, socketFolder: folder.sockets.path,
                files: files + (guest.builtImage.map { [$0.url.path] } ?? []))
        }
        try KeptMachine.add(kept, root: environment.root)
        Cleanup.shared.cancelAll()
        return kept.map(\.name)
    }
}

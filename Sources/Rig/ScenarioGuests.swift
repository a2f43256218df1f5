// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation

/// What a scenario runs on.
public struct RigEnvironment {
    public var root: URL
    public var architecture: GuestArchitecture
    /// What puts both guests on one machine with seL4; nil gives each guest a QEMU of its own.
    public var sel4: SeL4System?
    public var progress: Progress

    public init(
        root: URL, architecture: GuestArchitecture = .x86_64, sel4: SeL4System? = nil, progress: Progress = Progress()
    ) {
        self.root = root
        self.architecture = architecture
        self.sel4 = sel4
        self.progress = progress
    }

    var cache: URL { ImageRequest.defaultCache(root: root) }

    /// What a run of `scenario` is called: with the architecture, unless that is the usual one.
    func runName(_ scenario: Scenario) -> String {
        if let sel4 { return "\(scenario.name)-\(sel4.suffix)" }
        return architecture == .x86_64 ? scenario.name : "\(scenario.name)-\(architecture.rawValue)"
    }
}

/// One guest of a running scenario: its image, its devices' files and its machine.
final class ScenarioGuest {
    let declaration: GuestDeclaration
    /// What the rig made for it; nil where it is part of an image that somebody else built.
    let builtImage: BuiltImage?
    let machine: any GuestMachine
    /// As the last boot had it.
    var setup: GuestSetup

    init(_ declaration: GuestDeclaration, image: BuiltImage?, machine: any GuestMachine) {
        self.declaration = declaration
        builtImage = image
        self.machine = machine
        setup = declaration.setup
    }

    var name: String { declaration.name }

    func image() throws -> BuiltImage {
        guard let builtImage else {
            throw RigError(
                tried: "look into the image of \(name)", happened: "it was not built here",
                remedy: "ask the guest itself")
        }
        return builtImage
    }

    func shell() throws -> GuestShell {
        guard let shell = machine.shell else {
            throw RigError(
                tried: "run a command in \(name)", happened: "the guest is not up", remedy: "`boot \(name)` before")
        }
        return shell
    }

    /// Runs a script of the rig's own, which must succeed.
    /// - Returns: what it has printed.
    @discardableResult
    func demand(_ script: String, _ purpose: String, timeLimit: Duration = .seconds(60)) throws -> String {
        let output = try shell().run(script, timeLimit: timeLimit)
        guard output.status == 0 else {
            throw RigError(
                tried: "\(purpose) in \(name)",
                happened: "status \(output.status):\n\(HostCommand.tail(output.text))\n",
                remedy: "read the guest's logs in the run's folder")
        }
        return output.text
    }
}

/// The guests of a running scenario and what they share.
final class ScenarioGuests {
    /// Two sections of 8 MiB are used. The region is large, and sparse, so that the firmware puts it above 4 GiB:
    /// below, x86's memory type registers make even a cached mapping uncached.
    static let regionSize = 1 << 30

    /// Of the memory that a node describes: the two sections, and nothing else.
    static let windowSize = 16 << 20

    let environment: RigEnvironment
    let folder: RunFolder
    /// How each guest's own QEMU runs its processor.
    private(set) var accelerator = Accelerator.tcg
    private(set) var all: [ScenarioGuest] = []
    private var server: IvshmemServer?
    /// The machine of both guests, where seL4 runs it.
    private(set) var board: SeL4Board?

    init(_ scenario: Scenario, environment: RigEnvironment, folder: RunFolder) throws {
        self.environment = environment
        self.folder = folder
        if case .camkes(let file) = environment.sel4 {
            try share(SeL4Board(.camkes(file), environment, folder), scenario, [])
            return
        }
        let images = try scenario.guests.map { try image(for: $0, needsAgent: scenario.needsAgent) }
        if let system = environment.sel4 {
            try share(SeL4Board(system, environment, folder), scenario, images)
            return
        }
        let verdict = AcceleratorChoice.choose(
            for: images[0], architecture: environment.architecture, root: environment.root, cache: environment.cache,
            runFolder: folder)
        accelerator = verdict.accelerator
        environment.progress.note("accelerator: \(verdict.accelerator) (\(verdict.reason))")
        let isOneWay = scenario.guests.contains { $0.setup.section == .oneWay }
        let server = try IvshmemServer(
            path: folder.socket("ivshmem"), size: isOneWay ? OneWaySections.doorbellSize : Self.regionSize)
        self.server = server
        let ports = try MachineNetwork.Ports.free()
        for (declaration, image) in zip(scenario.guests, images) {
            let devices = try declaration.devices.map { (device: $0, file: try makeFile(of: $0)) }
            let hasNode = declaration.setup.section == .node
            let size = Self.windowSize
            let window =
                hasNode
                ? (file: try folder.sharedMemory("window", size), size: size, tree: folder.tree(declaration.name)) : nil
            let settings = MachineSettings(
                name: declaration.name, architecture: environment.architecture, accelerator: verdict.accelerator,
                memory: image.memoryNeeded, kernel: image.kernel, initramfs: image.url, rootDisk: image.disk,
                window: window, sections: isOneWay ? try OneWaySections(declaration.role, in: folder) : nil,
                doorbell: hasNode ? nil : server.path,
                network: declaration.isNetworked ? MachineNetwork(declaration.role, ports) : nil, devices: devices)
            let machine = try QemuMachine(settings, root: environment.root, runFolder: folder)
            all.append(ScenarioGuest(declaration, image: image, machine: machine))
        }
    }

    /// Puts the guests on one machine.
    /// - Parameter images: one for each guest, or none where the machine's image has them already.
    private func share(_ board: SeL4Board, _ scenario: Scenario, _ images: [BuiltImage]) throws {
        self.board = board
        for guest in scenario.guests where guest.isOnDisk {
            throw RigError(
                tried: "put \(guest.name) on seL4", happened: "its root is to be on a disk, and it has none",
                remedy: "leave `on disk` out of the scenario")
        }
        for guest in scenario.guests where !guest.devices.allSatisfy({ guest.role == .exporter && $0.bus == .xhci }) {
            throw RigError(
                tried: "put the scenario's guests on seL4", happened: "the exporter's only controller is an xhci one",
                remedy: "put \(guest.name)'s devices on xhci in the exporter, or let it make them (gadget_disk)")
        }
        board.devices = try scenario.guests.flatMap(\.devices).map { (device: $0, file: try makeFile(of: $0)) }
        let guests = scenario.guests.enumerated().map { index, guest in
            (role: guest.role, image: images.isEmpty ? nil : images[index])
        }
        for (guest, declaration) in zip(try board.install(guests), scenario.guests) {
            all.append(ScenarioGuest(declaration, image: guest.image, machine: guest))
        }
    }

    subscript(name: String) -> ScenarioGuest? { all.first { $0.name == name } }

    /// Powers `guests` on together; with `waits`, until each takes commands.
    func boot(_ guests: [ScenarioGuest], forced: Bool, waits: Bool, limit: Duration) throws {
        for guest in guests {
            let memory = try guest.setup.memory ?? guest.machine.fixedMemory ?? guest.image().memoryNeeded
            if !forced { try guest.builtImage?.require(memory: memory) }
            guest.machine.memory = memory
            try guest.machine.start()
        }
        guard waits else { return }
        for guest in guests { try guest.machine.waitUntilReady(limit) }
    }

    /// Asks every guest what it sees, keeps that with the logs, and shows it.
    func diagnose(_ progress: Progress) {
        for guest in all {
            var text = "--- console of \(guest.name)\n\(HostCommand.tail(guest.machine.console, lines: 15))\n"
            if guest.machine.isRunning, let shell = guest.machine.shell {
                let output = try? shell.run(AgentSetup.diagnosis, timeLimit: .seconds(10))
                text += output?.text ?? "--- the guest does not answer\n"
            }
            let url = folder.logs.appendingPathComponent("\(guest.name).failure.txt")
            try? Data(text.utf8).write(to: url)
            progress.note("\(guest.name) after the failure:\n\(text)")
        }
    }

    /// Ends what runs and removes what is of no use any more; logs stay.
    func end() {
        for guest in all { guest.machine.kill() }
        server?.stop()
        server = nil
        folder.removeAllButLogs()
    }

    private func image(for guest: GuestDeclaration, needsAgent: Bool) throws -> BuiltImage {
        let binaries = AgentBinaries(root: environment.root, architecture: environment.architecture)
        let isBuilt = FileManager.default.fileExists(atPath: binaries.agent.path)
        if needsAgent && !isBuilt {
            throw RigError(
                tried: "build the image of \(guest.name)", happened: "there is no \(binaries.agent.path)",
                remedy: "run `make guest` first")
        }
        return try GuestImage.build(
            ImageRequest(
                root: environment.root, output: folder.image(guest.name),
                role: guest.role, kind: guest.image, configuration: "", agent: isBuilt ? binaries : nil,
                architecture: environment.architecture, extraFiles: try guest.builtFiles.map(file),
                extraModules: guest.modules,
                packageFiles: guest.packageFiles, isOnDisk: guest.isOnDisk, ballastBytes: guest.ballast),
            progress: environment.progress)
    }

    private func file(_ built: BuiltFile) throws -> GuestFile {
        let url = environment.root.appendingPathComponent(
            ".build-guest/\(environment.architecture.rawValue)/\(built.name)")
        guard FileManager.default.fileExists(atPath: url.path) else {
            throw RigError(
                tried: "put \(built.path) into an image", happened: "there is no \(url.path)",
                remedy: "run `make guest probes` first")
        }
        return GuestFile(path: built.path, content: .file(url), mode: 0o755)
    }

    /// New random content for each run, so that no run can pass on what an earlier one left.
    private func makeFile(of device: EmulatedDevice) throws -> URL? {
        guard let url = folder.file(of: device), let size = device.size else { return folder.file(of: device) }
        let descriptor = open(url.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        defer { if descriptor >= 0 { close(descriptor) } }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var left = size
        while left > 0 && descriptor >= 0 {
            let count = getrandom(&buffer, min(left, buffer.count), 0)
            guard count > 0, write(descriptor, buffer, count) == count else { break }
            left -= count
        }
        guard left == 0 else {
            throw RigError(
                tried: "write \(url.path), \(size) bytes", happened: String(cString: strerror(errno)),
                remedy: "check the room on the disk")
        }
        return url
    }
}

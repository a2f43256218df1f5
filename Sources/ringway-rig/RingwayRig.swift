// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Rig

@main
struct RingwayRig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ringway-rig",
        abstract: "Boots virtual machines that share memory and have no network, and tries Ringway in them.",
        subcommands: [
            List.self, Run.self, Demo.self, Bench.self, Shell.self, Clean.self, Image.self, Root.self, SeL4.self,
        ])
}

/// What every subcommand takes.
struct RootOption: ParsableArguments {
    @Option(help: "The project's root.")
    var root = "."

    var url: URL { URL(fileURLWithPath: root).standardizedFileURL }
}

/// What every subcommand that builds or boots guests takes.
struct ArchitectureOption: ParsableArguments {
    @Option(
        name: .customLong("arch"),
        help: "The guests' processor: x86_64 or aarch64; x86_64 unless given, or a scenario says otherwise.")
    var given: GuestArchitecture?

    var architecture: GuestArchitecture { given ?? .x86_64 }

    /// The architecture to run `scenario` on.
    func architecture(for scenario: Scenario) throws -> GuestArchitecture {
        guard let only = scenario.architecture, let given, given != only else {
            return scenario.architecture ?? architecture
        }
        throw RigError(
            tried: "run \(scenario.name) on \(given.rawValue)", happened: "it is one for \(only.rawValue) only",
            remedy: "leave --arch away")
    }
}

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the scenarios.")
    @OptionGroup var root: RootOption

    func run() throws {
        let names = try ScenarioCatalogue.names(root: root.url)
        let width = names.map(\.count).max() ?? 0
        for name in names {
            let scenario = try ScenarioCatalogue.load(name, root: root.url)
            print("\(name.padding(toLength: width, withPad: " ", startingAt: 0))  \(scenario.title)")
        }
    }
}

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run scenarios; exit 0 only if every check of each holds.")
    @OptionGroup var root: RootOption
    @OptionGroup var guests: ArchitectureOption
    @Argument(help: "Names of scenarios.")
    var names: [String]
    @Flag(help: "Run the long form of repeated blocks.")
    var full = false
    @Flag(help: "Leave the virtual machines of the last scenario running.")
    var keep = false

    func run() throws {
        let scenarios = try names.map { try ScenarioCatalogue.load($0, root: root.url) }
        Cleanup.shared.installSignalHandlers()
        defer { Cleanup.shared.run() }
        var allHold = true
        for (index, scenario) in scenarios.enumerated() {
            let session = try ScenarioSession(
                root: root.url, architecture: guests.architecture(for: scenario), full: full,
                keep: keep && index == scenarios.count - 1)
            allHold = try session.run(scenario) && allHold
        }
        if !allHold { throw ExitCode.failure }
    }
}

struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a USB disk that crosses two virtual machines with no network.")
    @OptionGroup var root: RootOption
    @OptionGroup var guests: ArchitectureOption
    @Flag(help: "Leave both virtual machines running.")
    var keep = false

    func run() throws {
        let scenario = try ScenarioCatalogue.load("usb-disk", root: root.url)
        Cleanup.shared.installSignalHandlers()
        defer { Cleanup.shared.run() }
        let session = try ScenarioSession(
            root: root.url, architecture: guests.architecture(for: scenario), full: false, keep: keep)
        guard try session.run(scenario) else { throw ExitCode.failure }
    }
}

struct Shell: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A shell in a guest that was kept.",
        discussion:
            "Without a command: the guest's console; Ctrl-] leaves it. With one: runs it, and ends with its status.")
    @OptionGroup var root: RootOption
    @Argument(help: "The guest's name, such as exporter.")
    var guest: String
    @Option(help: "Seconds that a command may take.")
    var timeout = 600
    @Argument(parsing: .postTerminator, help: "A command for the guest's shell, behind --.")
    var command: [String] = []

    func run() throws {
        let terminal = GuestTerminal(try KeptMachine.find(guest, root: root.url))
        guard !command.isEmpty else {
            FileHandle.standardError.write(Data("\(guest)'s console; Ctrl-] leaves it\n".utf8))
            return try terminal.interact()
        }
        let status = try terminal.run(command.joined(separator: " "), timeLimit: .seconds(timeout))
        if status != 0 { throw ExitCode(status) }
    }
}

struct Clean: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "End virtual machines that were kept.")
    @OptionGroup var root: RootOption

    func run() {
        let ended = KeptMachine.clean(root: root.url)
        print(ended == 0 ? "no virtual machine was running" : "ended \(ended) virtual machine(s)")
    }
}

struct Image: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Build a guest's initramfs, and say the memory that it needs.",
        discussion: "See docs/guest-images.md.")
    @OptionGroup var root: RootOption
    @OptionGroup var guests: ArchitectureOption
    @Option(help: "exporter or importer.")
    var role = GuestRole.exporter
    @Flag(help: "Leave Debian's usbip and usbipd out: busybox, kernel modules and ringway only.")
    var bare = false
    @Flag(help: "Put the root on an ext4 disk; the initramfs only starts it.")
    var onDisk = false
    @Option(name: .customLong("module"), help: "A kernel module besides those of the role; may be given again.")
    var modules: [String] = []
    @Option(
        name: .customLong("module-file"), help: "A module built for that kernel (.ko); may be given again.",
        transform: URL.init(fileURLWithPath:))
    var moduleFiles: [URL] = []
    @Option(help: "The file to write; .build-rig/images/ROLE-ARCH.cpio.gz unless given. A disk's name ends in .ext4.")
    var output: String?

    func validate() throws {
        for file in moduleFiles where !FileManager.default.isReadableFile(atPath: file.path) {
            throw ValidationError("--module-file: there is no \(file.path), or it cannot be read")
        }
    }

    func run() throws {
        let architecture = guests.architecture
        let folder = root.url.appendingPathComponent(".build-rig/images")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let name = "\(role.rawValue)-\(architecture.rawValue).cpio.gz"
        let binaries = AgentBinaries(root: root.url, architecture: architecture)
        let isBuilt = FileManager.default.fileExists(atPath: binaries.agent.path)
        let image = try GuestImage.build(
            ImageRequest(
                root: root.url, output: output.map { URL(fileURLWithPath: $0) } ?? folder.appendingPathComponent(name),
                role: role, kind: bare ? .bare : .stock, configuration: "", agent: isBuilt ? binaries : nil,
                architecture: architecture, extraModules: modules, moduleFiles: moduleFiles, isOnDisk: onDisk),
            progress: Progress())
        print("image:    \(image.url.path)")
        if let disk = image.disk {
            let size = (try? disk.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0
            print("disk:     \(disk.path), \(size >> 10) KiB: /dev/vda, or name it with root=")
        }
        print("kernel:   \(image.kernel.path)")
        if !isBuilt { print("ringway:  not in it; build it with `make guest` first") }
        print("unpacked: \(image.unpackedSize >> 10) KiB, packed: \(image.compressedSize >> 10) KiB")
        print("memory:   a guest needs \(image.memoryNeeded >> 20) MiB to unpack it and boot")
    }
}

struct Root: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Unpack Debian packages, and what they depend on, into one folder.",
        discussion: "Nothing is installed, and no package's scripts are run. Made anew when a version has changed.")
    @OptionGroup var root: RootOption
    @OptionGroup var guests: ArchitectureOption
    @Option(help: "The folder to make. It is replaced.")
    var output: String
    @Argument(help: "Names of packages.")
    var packages: [String]

    func run() throws {
        let output = URL(fileURLWithPath: output)
        try PackageTree.build(
            packages, architecture: guests.architecture, root: root.url, output: output, progress: Progress())
        print(output.path)
    }
}

extension GuestRole: ExpressibleByArgument {}
extension GuestArchitecture: ExpressibleByArgument {}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// One QEMU with seL4 and two guests: `vm-configs/sel4-microkit`, `vm-configs/sel4-camkes`. QEMU's own serial port is
/// seL4's and the VMMs'; each guest has a card with two, its console and its command channel.
final class SeL4Board {
    private let system: SeL4System
    private let environment: RigEnvironment
    private let folder: RunFolder
    private let image: URL
    private var guests: [SeL4Guest] = []
    /// What is plugged into the exporter's USB controller.
    var devices: [(device: EmulatedDevice, file: URL?)] = []
    private var boots = 0
    private var process: ChildProcess?
    private var cleanup: Int?

    /// What the board has: as Microkit's board qemu_virt_aarch64 and CAmkES's platform qemu-arm-virt are built for.
    private static let machine = [
        "-machine", "virt,virtualization=on,highmem=off,secure=off", "-cpu", "cortex-a53", "-m", "2G",
        "-nodefaults", "-display", "none", "-no-reboot",
    ]
    /// Where QEMU puts Microkit's image; that of CAmkES says it itself.
    private static let loadAddress = "0x70000000"
    /// `RAM_SIZE` of either layout.h.
    static let guestMemory = 256 << 20

    init(_ system: SeL4System, _ environment: RigEnvironment, _ folder: RunFolder) {
        self.system = system
        self.environment = environment
        self.folder = folder
        switch system {
        case .microkit(let kit): image = folder.logs.appendingPathComponent("sel4/\(kit.variant.rawValue).img")
        case .camkes(let file): image = file
        }
    }

    var identity: ProcessIdentity? { process?.identity }
    var isRunning: Bool { process.map { $0.exitStatus() == nil } ?? false }
    var qemuLog: URL { folder.logs.appendingPathComponent("sel4-\(boots).qemu.log") }

    /// What seL4 and the VMMs have printed since the last start.
    var log: String { GuestConsole(guest: "seL4", log: sel4Log, qemuLog: qemuLog).text }
    private var sel4Log: URL { folder.logs.appendingPathComponent("sel4-\(boots).console.log") }
    private var monitorPath: String { folder.socket("sel4.monitor") }

    /// How QEMU has ended; nil while it runs.
    var exitStatus: Int32? { process.map { $0.exitStatus() } ?? 0 }

    func consoleLog(of guest: String) -> URL { folder.logs.appendingPathComponent("\(guest)-\(boots).console.log") }

    /// Builds the image with these guests in it, unless somebody has.
    /// - Returns: the guests, in their order.
    func install(_ wanted: [(role: GuestRole, image: BuiltImage?)]) throws -> [SeL4Guest] {
        guard wanted.map(\.role).sorted(by: { $0.rawValue < $1.rawValue }) == [.exporter, .importer] else {
            throw RigError(
                tried: "put the scenario's guests on seL4", happened: "they are not one exporter and one importer",
                remedy: "correct the scenario")
        }
        for guest in wanted { try guest.image?.require(memory: Self.guestMemory) }
        if case .microkit(let kit) = system { try build(kit, wanted) }
        guests = try wanted.map { try SeL4Guest($0.role.rawValue, image: $0.image, board: self, folder: folder) }
        return guests
    }

    private func build(_ kit: SeL4Kit, _ wanted: [(role: GuestRole, image: BuiltImage?)]) throws {
        func initramfs(_ role: GuestRole) -> String { wanted.first { $0.role == role }?.image?.url.path ?? "" }
        try environment.progress.step("\(kit.variant.rawValue).img with Microkit") {
            let make = HostCommand(
                "make",
                [
                    "-f", environment.root.appendingPathComponent("vm-configs/sel4-microkit/Makefile").path,
                    "MICROKIT_SDK=\(kit.microkit.path)", "LIBVMM=\(kit.libvmm.path)",
                    "VARIANT=\(kit.variant.rawValue)", "BUILD=\(image.deletingLastPathComponent().path)",
                    "KERNEL=\(wanted[0].image?.kernel.path ?? "")",
                    "EXPORTER_INITRD=\(initramfs(.exporter))", "IMPORTER_INITRD=\(initramfs(.importer))",
                ], timeLimit: .seconds(300))
            let output = try make.run()
            let said = output.standardOutput + output.standardError
            try said.write(to: folder.logs.appendingPathComponent("sel4-build.log"))
            guard output.status == 0 else {
                throw RigError(
                    tried: "build the image for seL4", happened: HostCommand.tail(output.errorText),
                    remedy: "read sel4-build.log in \(folder.logs.path)")
            }
        }
    }

    /// Starts QEMU, unless one runs: both guests boot by themselves.
    func start() throws {
        if isRunning { return }
        kill()
        boots += 1
        guard let executable = HostCommand.find("qemu-system-aarch64") else {
            throw RigError(
                tried: "boot seL4", happened: "there is no qemu-system-aarch64 on this machine",
                remedy: "install the Debian package qemu-system-arm")
        }
        let words = arguments
        try Data("\((["qemu-system-aarch64"] + words).joined(separator: " "))\n".utf8).write(to: qemuLog)
        let child = try ChildProcess(executable, words, output: qemuLog)
        process = child
        let identity = child.identity
        cleanup = Cleanup.shared.add { identity.kill() }
    }

    func kill() {
        process?.kill()
        process = nil
        if let cleanup { Cleanup.shared.cancel(cleanup) }
        for path in guests.flatMap(\.sockets.all) + [monitorPath] { unlink(path) }
    }

    func monitor() throws -> QemuMonitor { try QemuMonitor(path: monitorPath) }

    /// How QEMU is told what to boot.
    private var boot: [String] {
        switch system {
        case .microkit: ["-device", "loader,file=\(image.path),addr=\(Self.loadAddress),cpu-num=0"]
        case .camkes: ["-kernel", image.path]
        }
    }

    /// The slots are those of ringway.system and layout.h: 1 and 2 are the serial cards of exporter and importer.
    private var arguments: [String] {
        func socket(_ id: String, _ path: String) -> [String] {
            ["-chardev", "socket,id=\(id),path=\(path),server=on,wait=off"]
        }
        var words = Self.machine + boot + ["-serial", "file:\(sel4Log.path)"]
        words += socket("monitor", monitorPath) + ["-mon", "chardev=monitor,mode=control"]
        for (slot, guest) in guests.sorted(by: { $0.name < $1.name }).enumerated() {
            let name = guest.name
            words += socket("\(name)-console", guest.sockets.console + ",logfile=\(consoleLog(of: name).path)")
            words += socket("\(name)-shell", guest.sockets.shell)
            let card = "pci-serial-2x,addr=\(slot + 1),chardev1=\(name)-console,chardev2=\(name)-shell"
            words += ["-device", card]
        }
        // The exporter's controller: a plain device to the guest, with one interrupt line.
        words += ["-device", EmulatedDevice.Bus.xhci.controller + ",addr=3"]
        for (device, file) in devices { words += device.arguments(file: file) }
        return words
    }
}

/// One guest of that machine.
final class SeL4Guest: GuestMachine {
    let name: String
    /// What the rig made for it; nil where somebody else did.
    let image: BuiltImage?
    let sockets: MachineSockets
    private(set) var shell: GuestShell?
    private let board: SeL4Board

    init(_ name: String, image: BuiltImage?, board: SeL4Board, folder: RunFolder) throws {
        self.name = name
        self.image = image
        self.board = board
        sockets = MachineSockets(
            console: folder.socket("\(name).console"), shell: folder.socket("\(name).shell"),
            monitor: folder.socket("sel4.monitor"))
    }

    var fixedMemory: Int? { SeL4Board.guestMemory }
    /// It is the system description's: a scenario's wish for another size is not heard.
    var memory: Int {
        get { SeL4Board.guestMemory }
        set { _ = newValue }
    }
    var identity: ProcessIdentity? { board.identity }
    var isRunning: Bool { board.isRunning }
    var console: String { printed.text }
    private var printed: GuestConsole {
        GuestConsole(guest: name, log: board.consoleLog(of: name), qemuLog: board.qemuLog)
    }

    func start() throws {
        shell = nil
        try board.start()
    }

    func waitUntilReady(_ limit: Duration) throws {
        try waitForConsole(QemuMachine.readyLine, limit: limit)
        shell = try GuestShell(guest: name, path: sockets.shell)
    }

    func waitForConsole(_ text: String, limit: Duration) throws {
        try printed.wait(for: text, limit: limit) { board.exitStatus }
    }

    func kill() {
        shell = nil
        board.kill()
    }

    func monitor() throws -> QemuMonitor { try board.monitor() }
}

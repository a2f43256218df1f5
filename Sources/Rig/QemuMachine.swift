// SPDX-License-Identifier: Apache-2.0
import Foundation

/// One QEMU virtual machine: no network, one processor, a console that is a log, a command channel and a monitor
/// on sockets. It can be killed and started again.
final class QemuMachine {
    var settings: MachineSettings
    let sockets: MachineSockets
    private let root: URL
    private let logs: URL
    private var boots = 0
    private var process: ChildProcess?
    private var cleanup: Int?
    private(set) var shell: GuestShell?

    /// Where the memory of QEMU's machine `virt` begins.
    private static let memoryBase = 1 << 30

    /// What the guest prints on its console when it takes commands.
    static let readyLine = "RINGWAY-GUEST-READY"

    init(_ settings: MachineSettings, root: URL, runFolder: RunFolder) throws {
        self.settings = settings
        self.root = root
        logs = runFolder.logs
        let name = settings.name
        sockets = MachineSockets(
            console: runFolder.socket("\(name).console"), shell: runFolder.socket("\(name).shell"),
            monitor: runFolder.socket("\(name).monitor"))
    }

    var name: String { settings.name }
    var identity: ProcessIdentity? { process?.identity }
    var isRunning: Bool { process.map { $0.exitStatus() == nil } ?? false }

    /// What the guest of the last start has printed so far.
    var console: String { printed.text }
    private var printed: GuestConsole { GuestConsole(guest: name, log: consoleLog, qemuLog: qemuLog) }
    var consoleLog: URL { logs.appendingPathComponent("\(name)-\(boots).console.log") }
    private var qemuLog: URL { logs.appendingPathComponent("\(name)-\(boots).qemu.log") }

    /// Starts QEMU; the guest then boots by itself.
    func start() throws {
        kill()
        boots += 1
        let program = "qemu-system-\(settings.architecture.rawValue)"
        guard let executable = HostCommand.find(program) else {
            throw RigError(
                tried: "start \(name)", happened: "there is no \(program) on this machine",
                remedy: "install QEMU's Debian package for it, qemu-system-x86 or qemu-system-arm")
        }
        let fixed = try QemuOptions.load(settings.architecture, root: root)
        if let window = settings.window {
            try DeviceTree.write(
                to: window.tree, qemu: executable, arguments: settings.machineArguments(fixed: fixed),
                window: Self.memoryBase + settings.memory, size: window.size)
        }
        let arguments = settings.arguments(fixed: fixed, sockets: sockets, console: consoleLog)
        try Data("\(([program] + arguments).joined(separator: " "))\n".utf8).write(to: qemuLog)
        let child = try ChildProcess(executable, arguments, output: qemuLog)
        process = child
        let identity = child.identity
        cleanup = Cleanup.shared.add { identity.kill() }
    }

    /// Waits for the guest to say that it takes commands.
    func waitUntilReady(_ limit: Duration) throws {
        try waitForConsole(Self.readyLine, limit: limit)
        shell = try GuestShell(guest: name, path: sockets.shell)
    }

    /// Waits for `text` on the console.
    func waitForConsole(_ text: String, limit: Duration) throws {
        try printed.wait(for: text, limit: limit) { process.map { $0.exitStatus() } ?? 0 }
    }

    /// Ends QEMU at once, as a power cut would.
    func kill() {
        shell = nil
        process?.kill()
        process = nil
        if let cleanup { Cleanup.shared.cancel(cleanup) }
        for path in sockets.all { unlink(path) }
    }

    /// A connection to QEMU's own monitor.
    func monitor() throws -> QemuMonitor { try QemuMonitor(path: sockets.monitor) }
}

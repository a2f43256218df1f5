// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What a scenario's guest runs on: a QEMU of its own, or its part of a machine with seL4.
protocol GuestMachine: AnyObject {
    var name: String { get }
    /// In bytes; a change counts from the next start.
    var memory: Int { get set }
    /// The memory that it has whatever its image needs; nil where that can be chosen.
    var fixedMemory: Int? { get }
    /// The QEMU that runs it.
    var identity: ProcessIdentity? { get }
    var isRunning: Bool { get }
    var sockets: MachineSockets { get }
    /// What the guest has printed since its last start.
    var console: String { get }
    /// Its command channel, once it is ready.
    var shell: GuestShell? { get }

    func start() throws
    /// Waits for the guest to say that it takes commands.
    func waitUntilReady(_ limit: Duration) throws
    func waitForConsole(_ text: String, limit: Duration) throws
    /// Ends the QEMU at once, as a power cut would.
    func kill()
    func monitor() throws -> QemuMonitor
}

extension QemuMachine: GuestMachine {
    var memory: Int {
        get { settings.memory }
        set { settings.memory = newValue }
    }
    var fixedMemory: Int? { nil }
}

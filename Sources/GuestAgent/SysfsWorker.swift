// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// What the data path can ask of the privileged parent. Everything in sysfs is done there, by a
/// short-lived child each, because the kernel may hold a device's lock for as long as it waits for bytes
/// that the data path has to move.
enum WorkerOperation: UInt8 {
    /// A text about the USB/IP drivers of this guest.
    case usbipStatus = 1
}

/// One packet between data path and parent: operation, slot of the asking program, its generation, text.
final class WorkerPacket {
    static let maximum = 16384

    let operation: WorkerOperation
    let slot: UInt16
    let generation: UInt32
    let text: [UInt8]

    var bytes: [UInt8] {
        [operation.rawValue, UInt8(slot & 255), UInt8(slot >> 8)]
            + [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: generation >> $0) } + text.prefix(Self.maximum - 7)
    }

    /// - Returns: nil when the bytes are no packet.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 7, let operation = WorkerOperation(rawValue: bytes[0]) else { return nil }
        self.operation = operation
        slot = UInt16(bytes[1]) | UInt16(bytes[2]) << 8
        generation = UInt32(bytes[3]) | UInt32(bytes[4]) << 8 | UInt32(bytes[5]) << 16 | UInt32(bytes[6]) << 24
        text = Array(bytes[7...])
    }

    init(_ operation: WorkerOperation, slot: Int, generation: UInt32, text: [UInt8] = []) {
        self.operation = operation
        self.slot = UInt16(truncatingIfNeeded: slot)
        self.generation = generation
        self.text = text
    }

    func send(_ socket: Int32) -> Bool {
        let flags = cs_msg_dontwait() | cs_msg_nosignal()
        let all = bytes
        return all.withUnsafeBufferPointer { CShim.send(socket, $0.baseAddress, $0.count, flags) == $0.count }
    }

    /// - Returns: nil when there is none, or none that makes sense.
    static func receive(_ socket: Int32) -> WorkerPacket? {
        var buffer = [UInt8](repeating: 0, count: maximum)
        let count = buffer.withUnsafeMutableBufferPointer {
            recv(socket, $0.baseAddress, $0.count, cs_msg_dontwait())
        }
        guard count > 0 else { return nil }
        return WorkerPacket(Array(buffer[0..<count]))
    }
}

/// The privileged parent: starts a child for each operation, ends it when its time is up, and watches the
/// data path.
final class SysfsWorker {
    /// A child at work.
    final class Job {
        let pid: pid_t
        let packet: WorkerPacket
        let deadline: UInt64
        /// Its answer has been given up; the process may still wait for a device's lock.
        var isLate = false

        init(pid: pid_t, packet: WorkerPacket, deadline: UInt64) {
            self.pid = pid
            self.packet = packet
            self.deadline = deadline
        }
    }

    static let timeLimitMicroseconds: UInt64 = 2_000_000
    static let maximumJobs = 16

    let dataPath: pid_t
    let socket: Int32
    let signals: Int32
    let devices: DeviceManager
    var jobs: [Job] = []

    init(dataPath: pid_t, socket: Int32, signals: Int32, devices: DeviceManager) {
        self.dataPath = dataPath
        self.socket = socket
        self.signals = signals
        self.devices = devices
    }

    /// Runs until the data path has ended. - Returns: its wait status.
    func run() -> Int32 {
        devices.start()
        while true {
            var descriptors = [
                pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
                pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
            ]
            descriptors += devices.descriptors()
            let timeout: Int32 = jobs.isEmpty ? devices.timeout : 100
            _ = descriptors.withUnsafeMutableBufferPointer { poll($0.baseAddress, nfds_t($0.count), timeout) }
            var signal = cs_next_signal(signals)
            while signal != 0 {
                if signal != SIGCHLD { kill(dataPath, signal) }
                signal = cs_next_signal(signals)
            }
            if let status = reap() { return status }
            if descriptors[1].revents & Int16(POLLIN) != 0, let packet = WorkerPacket.receive(socket) {
                start(packet)
            }
            endLateJobs()
            devices.serve(descriptors[2...])
        }
    }

    /// Collects children. - Returns: the data path's status, if it was among them.
    func reap() -> Int32? {
        var status: Int32 = 0
        while true {
            let pid = waitpid(-1, &status, WNOHANG)
            if pid <= 0 { return nil }
            if pid == dataPath { return status }
            jobs.removeAll { $0.pid == pid }
            devices.ended(pid, status: status)
        }
    }

    func start(_ packet: WorkerPacket) {
        guard jobs.count < Self.maximumJobs else {
            return answer(packet, "not read: too many requests at once")
        }
        let pid = fork()
        if pid == 0 {
            cs_default_signals()
            _ = cs_die_with_parent()
            Self.perform(packet, socket)
            _exit(0)
        }
        guard pid > 0 else { return answer(packet, compose("not read: \(systemMessage(cs_errno()))")) }
        jobs.append(Job(pid: pid, packet: packet, deadline: Clock.microseconds() &+ Self.timeLimitMicroseconds))
    }

    func endLateJobs() {
        let now = Clock.microseconds()
        for i in jobs.indices where !jobs[i].isLate && now > jobs[i].deadline {
            let job = jobs[i]
            // It counts until it has really ended, so that a held lock cannot gather processes without end.
            jobs[i].isLate = true
            // It may be in an uninterruptible wait for a device's lock; then it ends when the lock is free.
            kill(job.pid, SIGKILL)
            answer(job.packet, "not read: the kernel did not answer in 2 s (a device's lock is held)")
        }
    }

    func answer(_ packet: WorkerPacket, _ text: String) { Self.answer(packet, text, socket) }

    private static func answer(_ packet: WorkerPacket, _ text: String, _ socket: Int32) {
        let reply = WorkerPacket(
            packet.operation, slot: Int(packet.slot), generation: packet.generation, text: text.copyBytes())
        _ = reply.send(socket)
    }

    static func perform(_ packet: WorkerPacket, _ socket: Int32) {
        switch packet.operation {
        case .usbipStatus: answer(packet, USBIPDrivers.describe(), socket)
        }
    }
}

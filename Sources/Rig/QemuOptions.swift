// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The fixed part of a QEMU command line, from a file below `vm-configs/qemu/`: one option a line, the rest of
/// the line is its value, `#` starts a comment line.
struct QemuOptions: Equatable {
    private(set) var arguments: [String] = []

    static func parse(_ text: String) -> QemuOptions {
        var options = QemuOptions()
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ", maxSplits: 1)
            guard let name = words.first else { continue }
            options.arguments.append(String(name))
            if words.count == 2 { options.arguments.append(words[1].trimmingCharacters(in: .whitespaces)) }
        }
        return options
    }

    static func load(_ architecture: GuestArchitecture, root: URL) throws -> QemuOptions {
        let url = root.appendingPathComponent("vm-configs/qemu/\(architecture.rawValue).args")
        do {
            return parse(try String(contentsOf: url, encoding: .utf8))
        } catch {
            throw RigError(
                tried: "read QEMU's options for \(architecture.rawValue)", happened: "\(url.path) cannot be read",
                remedy: "run the rig in the project's root, or name it with --root")
        }
    }
}

/// What one virtual machine is made of.
struct MachineSettings {
    var name: String
    var architecture: GuestArchitecture
    var accelerator: Accelerator
    /// In bytes.
    var memory: Int
    var kernel: URL
    var initramfs: URL
    /// The socket of the ivshmem server; nil for a guest that shares nothing.
    var doorbell: String?
    /// With the file of each: a disk's content, or what a sound device has played.
    var devices: [(device: EmulatedDevice, file: URL?)]

    /// QEMU's whole command line.
    func arguments(fixed: QemuOptions, sockets: MachineSockets, console: URL) -> [String] {
        var words = ["-name", name] + accelerator.arguments + fixed.arguments
        words += ["-m", "\(memory >> 20)M", "-kernel", kernel.path, "-initrd", initramfs.path]
        func socket(_ id: String, _ path: String) -> [String] {
            ["-chardev", "socket,id=\(id),path=\(path),server=on,wait=off"]
        }
        words += socket("console", sockets.console + ",logfile=\(console.path)") + ["-serial", "chardev:console"]
        words += socket("shell", sockets.shell) + ["-serial", "chardev:shell"]
        words += socket("monitor", sockets.monitor) + ["-mon", "chardev=monitor,mode=control"]
        if let doorbell {
            words += ["-chardev", "socket,id=ivshmem,path=\(doorbell)"]
            words += ["-device", "ivshmem-doorbell,vectors=1,chardev=ivshmem"]
        }
        for bus in EmulatedDevice.Bus.allCases where devices.contains(where: { $0.device.bus == bus }) {
            words += ["-device", bus.controller]
        }
        // Keys go to the first keyboard of a machine, which would be the one of its board.
        if devices.contains(where: { $0.device.kind == .keyboard }) { words += ["-machine", "i8042=off"] }
        for (device, file) in devices { words += device.arguments(file: file) }
        return words
    }
}

/// The sockets of one running machine.
struct MachineSockets: Codable, Sendable {
    /// The console: the kernel's lines, and a shell for whoever presses Enter.
    let console: String
    /// The command channel.
    let shell: String
    /// QEMU's own monitor.
    let monitor: String

    var all: [String] { [console, shell, monitor] }
}

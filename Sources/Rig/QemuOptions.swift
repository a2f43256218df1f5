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
    /// The disk with the root; nil where that is the initramfs.
    var rootDisk: URL?
    /// The file behind memory that another machine has, too, at the end of this one's, and the device tree which
    /// describes it; aarch64 only.
    var window: (file: URL, size: Int, tree: URL)?
    /// The sections, where each machine may write its own only.
    var sections: OneWaySections?
    /// The socket of the ivshmem server; nil for a guest that shares nothing.
    var doorbell: String?
    /// nil for every machine but the benchmark's.
    var network: MachineNetwork?
    /// With the file of each: a disk's content, or what a sound device has played.
    var devices: [(device: EmulatedDevice, file: URL?)]

    /// The part of it that decides about the device tree.
    func machineArguments(fixed: QemuOptions) -> [String] {
        let words = accelerator.arguments(architecture) + fixed.arguments + ["-kernel", kernel.path]
        guard let window else { return words + ["-m", "\(memory >> 20)M"] }
        let path = window.file.path.replacingOccurrences(of: ",", with: ",,")
        return words + [
            "-m", "\((memory + window.size) >> 20)M", "-object", "memory-backend-ram,id=ram,size=\(memory)",
            "-object", "memory-backend-file,id=window,share=on,size=\(window.size),mem-path=\(path)",
            "-numa", "node,memdev=ram", "-numa", "node,memdev=window",
        ]
    }

    /// QEMU's whole command line.
    func arguments(fixed: QemuOptions, sockets: MachineSockets, console: URL) -> [String] {
        var words = ["-name", name] + machineArguments(fixed: fixed)
        words += ["-initrd", initramfs.path]
        if let window { words += ["-dtb", window.tree.path] }
        func socket(_ id: String, _ path: String) -> [String] {
            ["-chardev", "socket,id=\(id),path=\(path),server=on,wait=off"]
        }
        words += socket("console", sockets.console + ",logfile=\(console.path)") + ["-serial", "chardev:console"]
        words += socket("shell", sockets.shell) + architecture.secondSerialPort(to: "shell")
        words += socket("monitor", sockets.monitor) + ["-mon", "chardev=monitor,mode=control"]
        if let path = rootDisk?.path.replacingOccurrences(of: ",", with: ",,") {
            words += ["-blockdev", "driver=raw,node-name=root,file.driver=file,file.filename=\(path)"]
            words += ["-device", "virtio-blk-pci,drive=root"]
        }
        words += sections?.arguments ?? []
        if let doorbell {
            words += ["-chardev", "socket,id=ivshmem,path=\(doorbell)"]
            words += ["-device", "ivshmem-doorbell,vectors=1,chardev=ivshmem"]
        }
        words += network?.arguments ?? []
        for bus in EmulatedDevice.Bus.allCases where devices.contains(where: { $0.device.bus == bus }) {
            words += ["-device", bus.controller]
        }
        // Keys go to the first keyboard of a machine, which would be the one of its board.
        if architecture == .x86_64, devices.contains(where: { $0.device.kind == .keyboard }) {
            words += ["-machine", "i8042=off"]
        }
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

extension GuestArchitecture {
    /// QEMU's options for a serial port besides the console's.
    fileprivate func secondSerialPort(to chardev: String) -> [String] {
        switch self {
        case .x86_64: ["-serial", "chardev:\(chardev)"]
        // The machine `virt` has one port for a guest's kernel.
        case .aarch64: ["-device", "pci-serial,chardev=\(chardev)"]
        }
    }
}

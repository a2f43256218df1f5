// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport

@testable import GuestAgent

/// A folder that looks like a kernel's sysfs, of plain files: what is written stays in them, and changes nothing else.
final class FakeSysfs {
    let folder: ScratchFolder
    var path: String { folder.path }
    var tree: SysfsTree { SysfsTree(root: folder.path) }

    static let exporter = "bus/usb/drivers/usbip-host"
    static let importer = "devices/platform/vhci_hcd.0"

    /// With `usbip-host` and no device.
    init() throws {
        folder = try ScratchFolder()
        for name in ["match_busid", "bind", "unbind"] { try file("\(Self.exporter)/\(name)") }
        for name in ["usb/bind", "usb/unbind", "usb-storage/bind"] { try file("bus/usb/drivers/\(name)") }
        try file("bus/usb/drivers_probe")
        try makeFolder("bus/usb/devices")
    }

    func makeFolder(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: path + "/" + name, withIntermediateDirectories: true)
    }

    func file(_ name: String, _ text: String = "") throws { try folder.add(name, text) }

    func link(_ name: String, to target: String) throws {
        unlink(path + "/" + name)
        guard symlink(target, path + "/" + name) == 0 else { throw SystemFailure("symlink \(name)") }
    }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: path + "/" + name) }

    /// A folder where a file was: to open it for writing fails, for root, too.
    func spoil(_ name: String) throws {
        try remove(name)
        try makeFolder(name)
    }

    /// What a file holds; nil when it is not there, or is a folder.
    func text(_ name: String) -> String? { try? String(contentsOfFile: path + "/" + name, encoding: .utf8) }

    static let standard = [
        "busnum": "1\n", "devnum": "2\n", "idVendor": "46f4\n", "idProduct": "0001\n", "bcdDevice": "0100\n",
        "bDeviceClass": "00\n", "bDeviceSubClass": "00\n", "bDeviceProtocol": "00\n", "bNumConfigurations": "1\n",
        "speed": "480\n", "manufacturer": "QEMU\n", "product": "QEMU USB HARDDRIVE\n", "serial": "1-0000-1\n",
    ]

    /// - Parameters:
    ///   - attributes: in place of, or besides, the standard ones; nil for none of that name.
    ///   - interfaces: by name, with class, subclass and protocol.
    ///   - bus: where the device is, below `devices`.
    func device(
        _ name: String, _ attributes: [String: String?] = [:],
        interfaces: [String: [String]] = ["1.0": ["08", "06", "50"]], driver: String? = "usb",
        bus: String = "pci0000:00/usb1"
    ) throws {
        let place = "devices/\(bus)/\(name)"
        try makeFolder(place)
        for (attribute, text) in Self.standard.mapValues({ Optional($0) }).merging(attributes, uniquingKeysWith: { $1 })
        {
            if let text { try file("\(place)/\(attribute)", text) }
        }
        try describe(place, interfaces.sorted { $0.key < $1.key }.map(\.value))
        try link("bus/usb/devices/\(name)", to: "../../../\(place)")
        let up = "../../../" + String(repeating: "../", count: bus.split(separator: "/").count - 1)
        if let driver { try link("\(place)/driver", to: "\(up)bus/usb/drivers/\(driver)") }
        for (number, words) in interfaces {
            let interface = "\(name):\(number)"
            try makeFolder("\(place)/\(interface)")
            for (attribute, word) in zip(["bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol"], words) {
                try file("\(place)/\(interface)/\(attribute)", word + "\n")
            }
            try link("bus/usb/devices/\(interface)", to: "../../../\(place)/\(interface)")
        }
    }

    /// The device's descriptor, and one configuration with these interfaces.
    private func describe(_ place: String, _ interfaces: [[String]]) throws {
        var bytes: [UInt8] = [18, 1] + [UInt8](repeating: 0, count: 16)
        bytes += [9, 2, UInt8(9 + 9 * interfaces.count), 0, UInt8(interfaces.count), 1, 0, 0x80, 50]
        for (number, words) in interfaces.enumerated() {
            bytes += [9, 4, UInt8(number), 0, 0] + words.map { UInt8($0, radix: 16) ?? 0xFF } + [0]
        }
        try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(place)/descriptors"))
    }

    /// Makes a device one of `usbip-host`.
    func export(_ name: String, status: String? = "1\n", bus: String = "pci0000:00/usb1") throws {
        let up = "../../../" + String(repeating: "../", count: bus.split(separator: "/").count - 1)
        try link("devices/\(bus)/\(name)/driver", to: up + Self.exporter)
        if let status { try file("devices/\(bus)/\(name)/usbip_status", status) }
        try file("devices/\(bus)/\(name)/usbip_sockfd")
    }

    static let header = "hub port sta spd dev      sockfd local_busid\n"

    /// vhci_hcd with its tables, one a controller.
    func importer(_ tables: String...) throws {
        for name in ["attach", "detach"] { try file("\(Self.importer)/\(name)") }
        for (number, table) in tables.enumerated() {
            try file("\(Self.importer)/status\(number == 0 ? "" : ".\(number)")", Self.header + table)
        }
    }

    /// A program that sees this in place of /sys, and then becomes the one whose words follow.
    var mounted: [String] {
        let script = "mount --bind '\(path)' /sys && exec \"$@\""
        return ["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/bash", "-c", script, "bash"]
    }
}

/// Notes the order in which files of a folder tree are written: each time that one is closed which was open for
/// writing (inotify(7)).
final class WriteOrder {
    private let descriptor: Int32
    private var folders: [Int32: String] = [:]

    init(_ sysfs: FakeSysfs) throws {
        descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        guard descriptor >= 0 else { throw SystemFailure("inotify_init1") }
        for name in ["bus/usb", "bus/usb/drivers/usb", FakeSysfs.exporter] {
            let watch = inotify_add_watch(descriptor, sysfs.path + "/" + name, UInt32(IN_CLOSE_WRITE))
            guard watch >= 0 else { throw SystemFailure("inotify_add_watch") }
            folders[watch] = name.split(separator: "/").last.map { String($0) }
        }
    }

    deinit { close(descriptor) }

    /// What was written since the last call.
    func files() -> [String] {
        var names: [String] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return names }
            var position = 0
            while position < count {
                // struct inotify_event: watch, mask, cookie, length of the name; then the name, filled up with NUL.
                let words = buffer[position..<position + 16].withUnsafeBytes { raw in
                    (0..<4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self) }
                }
                let name = buffer[(position + 16)..<(position + 16 + Int(words[3]))].prefix { $0 != 0 }
                names.append("\(folders[Int32(bitPattern: words[0])] ?? "?")/" + String(decoding: name, as: UTF8.self))
                position += 16 + Int(words[3])
            }
        }
    }
}

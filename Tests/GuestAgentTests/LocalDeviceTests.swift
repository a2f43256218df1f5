// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing
import USBIP

@testable import GuestAgent

@Suite struct LocalDeviceTests {
    private static let busID = BusID("1-1")!

    @Test func everyAttribute() throws {
        let sysfs = try FakeSysfs()
        try sysfs.device(
            "1-1",
            [
                "busnum": "10\n", "devnum": "127\n", "idVendor": "AbCd\n", "idProduct": "00ff\n", "bcdDevice": "0210\n",
                "bDeviceClass": "ef\n", "bDeviceSubClass": "02\n", "bDeviceProtocol": "01\n", "speed": "5000\n",
                "bNumConfigurations": " 2\n", "manufacturer": "  A B \n", "product": "P\nsecond line\n",
                "serial": "S 1\n",
            ],
            interfaces: ["2.1": ["03", "01", "02"], "2.0": ["08", "06", "50"]])
        let device = try #require(LocalDevice.read(Self.busID, sysfs.tree))
        let record = device.record
        #expect(record.busID == Self.busID && record.busnum == 10 && record.devnum == 127)
        #expect(record.devid == 10 << 16 | 127 && record.speed == .super)
        #expect(record.vendor == 0xABCD && record.product == 0xFF && record.release == 0x210)
        #expect(record.deviceClass == 0xEF && record.deviceSubClass == 2 && record.deviceProtocol == 1)
        #expect(record.configurationValue == 2 && record.configurations == 2 && record.interfaces == 2)
        #expect(record.path == "\(sysfs.path)/devices/pci0000:00/usb1/1-1")
        #expect(record.identity == "abcd:00ff")
        #expect(device.manufacturer == "A B" && device.product == "P" && device.serial == "S 1")
        #expect(device.driver == "usb" && !device.isExported && !device.isHub && !device.isImported)
        // Found by the names of their folders, in order.
        #expect(
            device.interfaces == [
                InterfaceRecord(interfaceClass: 8, interfaceSubClass: 6, interfaceProtocol: 0x50),
                InterfaceRecord(interfaceClass: 3, interfaceSubClass: 1, interfaceProtocol: 2),
            ])
        #expect(device.title == "A B : P (abcd:00ff)")
        // What goes over the wire is what the peer's decoder takes.
        #expect(try DeviceRecord(decoding: record.encode()) == record)
        let quiet = try #require(LocalDevice.read(Self.busID, sysfs.tree, named: false))
        #expect(quiet.manufacturer == "" && quiet.serial == "" && quiet.record == record)
        #expect(quiet.title == "unknown vendor : unknown product (abcd:00ff)")
    }

    @Test func noAttribute() throws {
        let sysfs = try FakeSysfs()
        #expect(LocalDevice.read(Self.busID, sysfs.tree) == nil)
        try sysfs.makeFolder("bus/usb/devices/1-1")
        #expect(LocalDevice.read(Self.busID, sysfs.tree) == nil)
        #expect(LocalDevice.read(Self.busID, SysfsTree(root: "/nowhere")) == nil)
        #expect(LocalDevice.busIDs(SysfsTree(root: "/nowhere")).isEmpty)
    }

    /// Without one of four there is no device; without any other there is.
    @Test(arguments: FakeSysfs.standard.keys.sorted())
    func oneIsMissing(_ attribute: String) throws {
        let isNeeded = ["busnum", "devnum", "idVendor", "idProduct"].contains(attribute)
        for text in [nil, "", "\n", "zz\n", "-1\n", "99999999999999999999999\n"] {
            let sysfs = try FakeSysfs()
            try sysfs.device("1-1", [attribute: text])
            let device = LocalDevice.read(Self.busID, sysfs.tree)
            #expect((device == nil) == isNeeded, "\(text ?? "nil")")
            if attribute == "speed" { #expect(device?.record.speed == .unknown) }
            if let device { #expect(try DeviceRecord(decoding: device.record.encode()) == device.record) }
        }
    }

    @Test func interfacesAreNamedAfterTheDevice() throws {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1", interfaces: ["1.0": ["08", "06", "50"], "1.1": []])
        for decoy in ["1-1.2", "1-11:1.0", "ep_00", "power", "11-1:1.0"] {
            try sysfs.makeFolder("devices/pci0000:00/usb1/1-1/" + decoy)
        }
        let device = try #require(LocalDevice.read(Self.busID, sysfs.tree))
        #expect(LocalDevice.interfaceNames(of: "1-1", sysfs.tree) == ["1-1:1.0", "1-1:1.1"])
        #expect(device.interfaces.count == 2 && device.record.interfaces == 2)
        // One that has just gone reads as zeros.
        #expect(
            device.interfaces.last == InterfaceRecord(interfaceClass: 0, interfaceSubClass: 0, interfaceProtocol: 0))
        let bare = try FakeSysfs()
        try bare.device("1-1", interfaces: [:], driver: nil)
        let unconfigured = try #require(LocalDevice.read(Self.busID, bare.tree))
        #expect(unconfigured.record.configurationValue == 0 && unconfigured.record.interfaces == 0)
        #expect(unconfigured.driver == nil && !unconfigured.isExported)
    }

    @Test func kindsOfDevices() throws {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1", ["bDeviceClass": "09\n"])
        try sysfs.device("1-1.1", bus: "pci0000:00/usb1/1-1")
        try sysfs.device("3-1", bus: "platform/vhci_hcd.0/usb3")
        try sysfs.device("4-1", bus: "platform/dummy_hcd.0/usb4")
        try sysfs.makeFolder("bus/usb/devices/usb1")
        #expect(LocalDevice.busIDs(sysfs.tree).map(\.text) == ["1-1", "1-1.1", "3-1", "4-1"])
        func read(_ text: String) throws -> LocalDevice {
            try #require(BusID(text).flatMap { LocalDevice.read($0, sysfs.tree) })
        }
        #expect(try read("1-1").isHub && !read("1-1.1").isHub)
        #expect(try read("3-1").isImported && !read("4-1").isImported && !read("1-1.1").isImported)
        #expect(LocalDevice.own(sysfs.tree).map(\.busID.text) == ["1-1", "1-1.1", "4-1"])
        try sysfs.export("4-1", bus: "platform/dummy_hcd.0/usb4")
        #expect(try read("4-1").isExported && read("4-1").driver == "usbip-host")
    }
}

@Suite struct ListCommandTests {
    private static func list(_ sysfs: FakeSysfs, _ arguments: [String] = []) throws -> String {
        var command = try ListCommand.parse(arguments)
        command.tree = sysfs.tree
        return try command.text()
    }

    private static func filled() throws -> FakeSysfs {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1")
        for (name, status) in [("1-2", "1\n"), ("1-3", "2\n"), ("1-4", "3\n"), ("1-5", "9\n")] {
            try sysfs.device(name, ["manufacturer": nil, "product": nil, "idVendor": "000a\n"])
            try sysfs.export(name, status: status)
        }
        try sysfs.device("1-6", ["bDeviceClass": "09\n"])
        try sysfs.device("3-1", bus: "platform/vhci_hcd.0/usb3")
        return sysfs
    }

    @Test func localDevices() throws {
        #expect(try Self.list(FakeSysfs()) == "no USB devices\n")
        let bare = " - busid 1-%: (000a:0001)\n   unknown vendor : unknown product (000a:0001)%\n\n"
        func block(_ number: String, _ state: String) -> String {
            bare.replacingOccurrences(of: "1-%:", with: "1-" + number).replacingOccurrences(of: "%", with: state)
        }
        #expect(
            try Self.list(Self.filled())
                == " - busid 1-1 (46f4:0001)\n   QEMU : QEMU USB HARDDRIVE (46f4:0001)\n\n" + block("2", ", exported")
                + block("3", ", exported, in use by the peer") + block("4", ", exported, in error") + block("5", ""))
    }

    @Test func parsable() throws {
        let text = try Self.list(Self.filled(), ["--parsable"])
        #expect(text.hasPrefix("busid=1-1#usbid=46f4:0001#\nbusid=1-2#usbid=000a:0001#\n"))
        #expect(text.split(separator: "\n").count == 5)
        #expect(try Self.list(FakeSysfs(), ["-l", "-p"]) == "")
    }

    @Test func json() throws {
        let sysfs = try Self.filled()
        try sysfs.file("devices/pci0000:00/usb1/1-1/serial", "\"quoted\\\u{1B}[2J\u{7F}\n")
        let object = try JSONSerialization.jsonObject(with: Data(Self.list(sysfs, ["--json"]).utf8)) as? [String: Any]
        let devices = try #require(object?["devices"] as? [[String: Any]])
        #expect(devices.map { $0["busid"] as? String } == ["1-1", "1-2", "1-3", "1-4", "1-5", "1-6"])
        #expect(devices.map { $0["hub"] as? Bool } == [false, false, false, false, false, true])
        #expect(devices.map { $0["exported"] as? Bool } == [false, true, true, true, true, false])
        #expect(devices.map { $0["in-use"] as? Bool } == [false, false, true, false, false, false])
        #expect(devices[0]["serial"] as? String == "\"quoted\\\u{1B}[2J\u{7F}")
        #expect(devices[0]["vendor"] as? String == "46f4" && devices[0]["driver"] as? String == "usb")
        let none = try JSONSerialization.jsonObject(with: Data(Self.list(FakeSysfs(), ["--json"]).utf8))
        #expect(((none as? [String: Any])?["devices"] as? [Any])?.isEmpty == true)
    }

    /// Nothing that a device says of itself reaches a terminal as a command to it.
    @Test func aDeviceCannotWriteToTheTerminal() throws {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1", ["manufacturer": "A\u{1B}[2J\u{9B}B\n", "product": "C\rD\u{7F}\n"])
        let text = try Self.list(sysfs)
        #expect(!text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || (0x7F...0x9F).contains($0.value) })
    }

    // MARK: Ports

    @Test func ports() throws {
        let sysfs = try FakeSysfs()
        let folder = try ScratchFolder()
        var command = try PortCommand.parse(["--runtime-dir", folder.path])
        command.tree = sysfs.tree
        #expect(diagnostic { try command.text() }?.exitCode == .noSuch)
        let lines = [
            StatusLine.port(0, 4), StatusLine.port(1, 5),
            StatusLine.port(2, 6, speed: 3, devid: 0x10002, local: "3-1"),
            StatusLine.port(3, 6, speed: 3, devid: 0x10003, local: "3-2"), StatusLine.port(4, 7),
            StatusLine.port(12, 6, super: true, speed: 5, devid: 0x10004, local: "3-9"),
        ]
        try sysfs.importer(lines.joined())
        try sysfs.device("3-1", bus: "platform/vhci_hcd.0/usb3")
        try sysfs.link(
            "devices/platform/vhci_hcd.0/usb3/3-1/3-1:1.0/driver", to: "../../../../../../bus/usb/drivers/usb-storage")
        try sysfs.device("3-2", bus: "platform/vhci_hcd.0/usb3")
        PortRecord(busID: BusID("1-1")!, identity: "46f4:0001", devid: 0x10002, channel: 5, rule: "1-1")
            .write(folder.path, 2)
        let text = try command.text()
        #expect(
            text == """
                Imported USB devices
                ====================
                Port 01: attached, never addressed
                Port 02: in use (high speed, 480 Mbit/s)
                       46f4:0001, driver usb-storage
                       3-1 -> the peer's 1-1 (46f4:0001), channel 5, by the rule 1-1
                Port 03: set up, but no driver has taken it (high speed, 480 Mbit/s)
                       46f4:0001
                Port 04: in error: the kernel has given the connection up; detach it
                Port 12: addressed, not set up yet

                """)
        var json = try PortCommand.parse(["--runtime-dir", folder.path, "--json"])
        json.tree = sysfs.tree
        let object = try JSONSerialization.jsonObject(with: Data(json.text().utf8)) as? [String: Any]
        let ports = try #require(object?["ports"] as? [[String: Any]])
        #expect(
            ports.map { $0["state"] as? String } == ["not-addressed", "in-use", "no-driver", "error", "addressed"])
        #expect(ports[1]["rule"] as? String == "1-1" && ports[1]["channel"] as? Int == 5 && ports[0]["busid"] == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport
import Testing
import USBIP

@testable import GuestAgent

@Suite struct ExporterDriverTests {
    private static let busID = BusID("1-1")!
    private static let match = "\(FakeSysfs.exporter)/match_busid"
    private static let probe = "bus/usb/drivers_probe"

    @Test func bind() throws {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1")
        let order = try WriteOrder(sysfs)
        try ExporterDriver(tree: sysfs.tree).bind(Self.busID)
        #expect(order.files() == ["usbip-host/match_busid", "usb/unbind", "usbip-host/bind"])
        // The kernel takes a line end in match_busid for a part of the name.
        #expect(sysfs.text(Self.match) == "add 1-1")
        #expect(sysfs.text("bus/usb/drivers/usb/unbind") == "1-1")
        #expect(sysfs.text("\(FakeSysfs.exporter)/bind") == "1-1")
    }

    /// What the policy denies is not taken from its driver.
    @Test func bindAgainstThePolicy() throws {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1", interfaces: ["1.0": ["08", "06", "50"], "1.1": ["03", "01", "01"]])
        try sysfs.device("1-2")
        let policy = try Policy.parse("deny export class=03\nallow serial:1-0000-1\n", path: "/p")
        let driver = ExporterDriver(tree: sysfs.tree, policy: policy)
        let order = try WriteOrder(sysfs)
        let error = diagnostic { try driver.bind(Self.busID) }
        #expect(error?.exitCode == .notPermitted && error?.message == "exporting 1-1: /p:1 denies it")
        #expect(order.files() == [])
        try driver.bind(BusID("1-2")!)
        #expect(sysfs.text("\(FakeSysfs.exporter)/bind") == "1-2")
    }

    /// What the device could turn into counts, too: other configurations, other settings.
    @Test func everyConfigurationCounts() throws {
        let sysfs = try FakeSysfs()
        let device = [18, 1] + [UInt8](repeating: 0, count: 16)
        func configuration(_ parts: [UInt8]...) -> [UInt8] {
            let body = parts.flatMap { $0 }
            return [9, 2, UInt8(9 + body.count), 0, 1, 1, 0, 0x80, 50] + body
        }
        let disk: [UInt8] = [9, 4, 0, 0, 0, 8, 6, 0x50, 0]
        let keyboard: [UInt8] = [9, 4, 0, 1, 0, 3, 1, 1, 0]
        let endpoint: [UInt8] = [7, 5, 0x81, 2, 0, 2, 0]
        // The kernel shows none that do not fit; whatever else comes is not understood, and not offered.
        let broken: [UInt8] = [0, 4, 0, 0, 0]
        let longer = [11, 2, 20, 0, 1, 1, 0, 0x80, 50, 0, 0] + keyboard
        let cases: [([UInt8], Bool)] = [
            (device + configuration(disk, endpoint), true), (device + configuration(disk, keyboard), false),
            (device + configuration(disk) + configuration(disk, endpoint, keyboard), false),
            (device + configuration(disk, broken) + configuration(keyboard), false), (device, true),
            (device + longer, false), (device + configuration(disk) + Array(configuration(disk).dropLast()), false),
            (device + Array(configuration(disk).prefix(8)), false), ([], true),
        ]
        let policy = try Policy.parse("deny class=03\nallow\n", path: "/p")
        for (i, (descriptors, isFine)) in cases.enumerated() {
            try sysfs.device("1-1")
            try Data(descriptors).write(to: URL(fileURLWithPath: sysfs.path + "/bus/usb/devices/1-1/descriptors"))
            let found = try #require(LocalDevice.read(Self.busID, sysfs.tree))
            let refusal = ExporterDriver(tree: sysfs.tree, policy: policy).refusal(found)
            #expect((refusal == nil) == isFine, "case \(i)")
        }
        // What is set counts in any case; a device whose descriptors cannot be read is not offered.
        try sysfs.device("1-2", interfaces: ["1.0": ["03", "01", "01"]])
        let path = sysfs.path + "/bus/usb/devices/1-2/descriptors"
        try Data(device + configuration(disk)).write(to: URL(fileURLWithPath: path))
        let second = try #require(LocalDevice.read(BusID("1-2")!, sysfs.tree))
        #expect(ExporterDriver(tree: sysfs.tree, policy: policy).refusal(second) == "/p:1 denies it")
        unlink(path)
        let words = ExporterDriver(tree: sysfs.tree, policy: policy).refusal(second)
        #expect(words?.hasPrefix("its descriptors cannot be read") == true)
        #expect(ExporterDriver(tree: sysfs.tree).refusal(second) == nil)
    }

    @Test func bindWithoutADriver() throws {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1", driver: nil)
        let order = try WriteOrder(sysfs)
        try ExporterDriver(tree: sysfs.tree).bind(Self.busID)
        #expect(order.files() == ["usbip-host/match_busid", "usbip-host/bind"])
    }

    /// What cannot be exported, or is already: nothing is written.
    @Test func bindThatWritesNothing() throws {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1", ["bDeviceClass": "09\n"])
        try sysfs.device("3-1", bus: "platform/vhci_hcd.0/usb3")
        try sysfs.device("1-2")
        try sysfs.export("1-2")
        let order = try WriteOrder(sysfs)
        let driver = ExporterDriver(tree: sysfs.tree)
        let hub = diagnostic { try driver.bind(Self.busID) }
        #expect(hub?.exitCode == .unavailable && hub?.message.contains("it is a hub") == true)
        let imported = diagnostic { try driver.bind(BusID("3-1")!) }
        #expect(imported?.exitCode == .unavailable && imported?.message.contains("itself imported") == true)
        let unknown = diagnostic { try driver.bind(BusID("9-9")!) }
        #expect(unknown?.exitCode == .noSuch && unknown?.message.contains("9-9") == true)
        try driver.bind(BusID("1-2")!)
        #expect(order.files() == [])
    }

    /// A device that usbip-host does not take has its own driver again, and is not taken later either.
    @Test func bindThatFails() throws {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1")
        try sysfs.spoil("\(FakeSysfs.exporter)/bind")
        let order = try WriteOrder(sysfs)
        let error = diagnostic { try ExporterDriver(tree: sysfs.tree).bind(Self.busID) }
        #expect(error?.exitCode == .ioError && error?.message.contains("its own driver again") == true)
        #expect(
            order.files() == ["usbip-host/match_busid", "usb/unbind", "usbip-host/match_busid", "usb/drivers_probe"])
        #expect(sysfs.text(Self.match) == "del 1-1" && sysfs.text(Self.probe) == "1-1")
    }

    @Test func bindWhoseDriverHoldsOn() throws {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1")
        try sysfs.spoil("bus/usb/drivers/usb/unbind")
        let error = diagnostic { try ExporterDriver(tree: sysfs.tree).bind(Self.busID) }
        #expect(error?.exitCode == .ioError && error?.message.contains("from its driver") == true)
        #expect(sysfs.text(Self.match) == "del 1-1" && sysfs.text("\(FakeSysfs.exporter)/bind") == "")
        // One whose driver has gone meanwhile is free.
        try sysfs.remove("bus/usb/drivers/usb/unbind")
        try ExporterDriver(tree: sysfs.tree).bind(Self.busID)
        #expect(sysfs.text("\(FakeSysfs.exporter)/bind") == "1-1")
    }

    @Test func bindThatIsNotAllowed() throws {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1")
        try sysfs.spoil(Self.match)
        let order = try WriteOrder(sysfs)
        #expect(diagnostic { try ExporterDriver(tree: sysfs.tree).bind(Self.busID) }?.exitCode == .ioError)
        #expect(order.files() == [])
    }

    @Test func unbind() throws {
        let sysfs = try FakeSysfs()
        let driver = ExporterDriver(tree: sysfs.tree)
        #expect(diagnostic { try driver.unbind(Self.busID) }?.exitCode == .noSuch)
        try sysfs.device("1-1")
        let order = try WriteOrder(sysfs)
        let other = diagnostic { try driver.unbind(Self.busID) }
        #expect(other?.exitCode == .noSuch && other?.message.contains("not exported") == true)
        try sysfs.export("1-1", status: "2\n")
        let used = diagnostic { try driver.unbind(Self.busID) }
        #expect(used?.exitCode == .unavailable && used?.message.contains("still uses it") == true)
        #expect(order.files() == [])
        for status in ["1\n", "3\n", nil] {
            try sysfs.export("1-1", status: status)
            for name in [Self.match, Self.probe, "\(FakeSysfs.exporter)/unbind"] { try sysfs.file(name) }
            _ = order.files()
            try driver.unbind(Self.busID)
            #expect(order.files() == ["usbip-host/unbind", "usbip-host/match_busid", "usb/drivers_probe"])
            #expect(sysfs.text("\(FakeSysfs.exporter)/unbind") == "1-1")
            #expect(sysfs.text(Self.match) == "del 1-1" && sysfs.text(Self.probe) == "1-1")
        }
    }

    @Test func unbindThatFails() throws {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1")
        try sysfs.export("1-1")
        let driver = ExporterDriver(tree: sysfs.tree)
        try sysfs.spoil(Self.probe)
        let probe = diagnostic { try driver.unbind(Self.busID) }
        #expect(probe?.exitCode == .ioError && probe?.message.contains("giving it back") == true)
        #expect(sysfs.text(Self.match) == "del 1-1")
        try sysfs.file(Self.match)
        try sysfs.spoil("\(FakeSysfs.exporter)/unbind")
        // Still with usbip-host: its name stays.
        #expect(diagnostic { try driver.unbind(Self.busID) }?.exitCode == .ioError)
        #expect(sysfs.text(Self.match) == "")
    }

    @Test func states() throws {
        let sysfs = try FakeSysfs()
        let driver = ExporterDriver(tree: sysfs.tree)
        #expect(driver.isLoaded && driver.state(Self.busID) == nil && driver.devices().isEmpty)
        try sysfs.device("1-1")
        #expect(driver.state(Self.busID) == nil && driver.devices().isEmpty)
        let table: [(String, ExportState?)] = [
            ("1\n", .available), ("2\n", .used), ("3\n", .inError), ("1", .available), ("0\n", nil), ("4\n", nil),
            ("", nil), ("-1\n", nil), ("x\n", nil), ("18446744073709551617\n", nil), ("4294967297\n", nil),
        ]
        for (text, state) in table {
            try sysfs.export("1-1", status: text)
            #expect(driver.state(Self.busID) == state, "\(text)")
            #expect(driver.devices().count == (state == nil ? 0 : 1))
        }
        #expect(driver.connect(Self.busID, socket: 37) == 0)
        #expect(sysfs.text("devices/pci0000:00/usb1/1-1/usbip_sockfd") == "37\n")
        #expect(driver.connect(BusID("9-9")!, socket: 37) == ENOENT)
        try sysfs.spoil("devices/pci0000:00/usb1/1-1/usbip_sockfd")
        #expect(driver.connect(Self.busID, socket: 37) == EISDIR)
        #expect(!ExporterDriver(tree: SysfsTree(root: "/nowhere")).isLoaded)
    }
}

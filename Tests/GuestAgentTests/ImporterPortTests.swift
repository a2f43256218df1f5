// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport
import Testing
import USBIP

@testable import GuestAgent

/// Lines of vhci's `status`, as drivers/usb/usbip/vhci_sysfs.c prints them.
enum StatusLine {
    static func port(
        _ number: Int, _ state: Int, super isSuper: Bool = false, speed: Int = 0, devid: UInt32 = 0, socket: Int = 0,
        local: String = "0-0"
    ) -> String {
        func digits(_ value: Int, _ width: Int) -> String {
            String(repeating: "0", count: width - String(value).count) + String(value)
        }
        let hex = String(devid, radix: 16)
        return "\(isSuper ? "ss" : "hs")  \(digits(number, 4)) \(digits(state, 3)) \(digits(speed, 3)) "
            + String(repeating: "0", count: 8 - hex.count) + hex + " \(digits(socket, 6)) \(local)\n"
    }
}

@Suite struct ImporterPortTests {
    @Test func linesOfTheKernel() throws {
        let free = try #require(ImporterPort("hs  0000 004 000 00000000 000000 0-0"))
        #expect(free.number == 0 && free.state == .free && !free.isSuperSpeed && free.speed == .unknown)
        #expect(free.devid == 0 && free.localBusID == nil && free.controller == 0)
        let used = try #require(ImporterPort("ss  0017 006 005 000a0002 000019 12-1", controller: 3))
        #expect(used.number == 17 && used.state == .used && used.isSuperSpeed && used.speed == .super)
        #expect(used.devid == 0xA0002 && used.localBusID == BusID("12-1") && used.controller == 3)
        for (word, state) in [
            ("004", ImporterPort.State.free), ("005", .notAddressed), ("006", .used), ("007", .inError),
        ] {
            #expect(ImporterPort("hs  0001 \(word) 000 00000000 000000 0-0")?.state == state)
        }
        // The text of this test's own tables is the kernel's.
        #expect(StatusLine.port(0, 4) == "hs  0000 004 000 00000000 000000 0-0\n")
        #expect(
            StatusLine.port(17, 6, super: true, speed: 5, devid: 0xA0002, socket: 19, local: "12-1")
                == "ss  0017 006 005 000a0002 000019 12-1\n")
    }

    @Test(arguments: [
        "", " ", "hub port sta spd dev      sockfd local_busid", "hs", "hs  0000 004 000 00000000",
        "hs  0000 003 000 00000000 000000 0-0", "hs  0000 008 000 00000000 000000 0-0",
        "hs  -001 004 000 00000000 000000 0-0", "hs  65536 004 000 00000000 000000 0-0",
        "hs  99999999999999999999 004 000 00000000 000000 0-0", "hs  0000 four 000 00000000 000000 0-0",
        // A controller that is still being set up (status_show_not_ready).
        "hs  0000 005 000 00000000 0000000000000000 0-0", "ss  0015 005 000 00000000 0000000000000000 0-0",
        "hs  0000 4294967300 000 00000000 000000 0-0", "\0\0\0\0\0\0\0", "hs\t0000\t004\t000\t00000000\t000000\t0-0",
    ])
    func noPort(_ line: String) { #expect(ImporterPort(line) == nil) }

    /// Columns that mean nothing, or something else, leave a port that can be told from others.
    @Test func oddColumns() throws {
        let port = try #require(ImporterPort("hs  0002 006 009 xyz 000000 ../../etc"))
        #expect(port.speed == .unknown && port.devid == 0 && port.localBusID == nil)
        #expect(ImporterPort("hs  0002 006 003 00010002 000000")?.localBusID == nil)
        #expect(ImporterPort("hs  0002 006 003 00010002 000000 5-1 more")?.localBusID == BusID("5-1"))
    }

    // MARK: The driver's table

    @Test func everyController() throws {
        let sysfs = try FakeSysfs()
        let driver = ImporterDriver(tree: sysfs.tree)
        #expect(!driver.isLoaded && driver.ports() == nil && driver.freePorts(.high).isEmpty)
        try sysfs.importer(
            StatusLine.port(0, 4) + "nonsense\n" + StatusLine.port(8, 4, super: true),
            StatusLine.port(16, 6, speed: 3, devid: 0x10002, socket: 5, local: "5-1")
                + StatusLine.port(24, 4, super: true),
            "")
        // A gap ends the list.
        try sysfs.file("\(FakeSysfs.importer)/status.4", FakeSysfs.header + StatusLine.port(64, 4))
        #expect(driver.isLoaded)
        let ports = try #require(driver.ports())
        #expect(ports.map(\.number) == [0, 8, 16, 24])
        #expect(ports.map(\.controller) == [0, 0, 1, 1])
        #expect(driver.freePorts(.high).map(\.number) == [0])
        #expect(driver.freePorts(.low).map(\.number) == [0])
        #expect(driver.freePorts(.super).map(\.number) == [8, 24])
        #expect(driver.freePorts(.superPlus).map(\.number) == [8, 24])
    }

    /// While the module is being set up or taken down its tables are there, and reading them may crash the kernel.
    @Test(arguments: ["coming", "going", "", "lives"])
    func noTableBeforeTheModuleLives(_ state: String) throws {
        let sysfs = try FakeSysfs()
        try sysfs.importer(StatusLine.port(0, 4))
        let driver = ImporterDriver(tree: sysfs.tree)
        #expect(driver.isLoaded && driver.ports()?.count == 1)
        try sysfs.file("module/vhci_hcd/initstate", state + "\n")
        #expect(!driver.isLoaded && driver.ports() == nil && driver.freePorts(.high).isEmpty)
        try sysfs.file("module/vhci_hcd/initstate", "live\n")
        #expect(driver.isLoaded && driver.ports()?.count == 1)
    }

    /// Every arrangement of three controllers with a device each that is, or is not, being set up: the free ports of
    /// the ones that are come last, otherwise in the order of their numbers.
    @Test func aControllerThatIsSettingUpComesLast() throws {
        for mask in 0..<8 {
            let sysfs = try FakeSysfs()
            let tables = (0..<3).map { controller in
                StatusLine.port(4 * controller, mask >> controller & 1 == 1 ? 5 : 6)
                    + StatusLine.port(4 * controller + 1, 4) + StatusLine.port(4 * controller + 2, 7)
                    // One being set up on the other hub of the same controller counts, too: there is one lock.
                    + StatusLine.port(4 * controller + 3, 4, super: true)
            }
            try sysfs.importer(tables[0], tables[1], tables[2])
            let order = (0..<3).filter { mask >> $0 & 1 == 0 } + (0..<3).filter { mask >> $0 & 1 == 1 }
            let driver = ImporterDriver(tree: sysfs.tree)
            #expect(driver.freePorts(.high).map(\.number) == order.map { 4 * $0 + 1 }, "\(mask)")
            #expect(driver.freePorts(.super).map(\.number) == order.map { 4 * $0 + 3 }, "\(mask)")
        }
    }

    /// The line that the kernel gets: port, socket, devid, speed. (That a port is taken meanwhile, EBUSY, plain files
    /// cannot say.)
    @Test(arguments: [
        (USBSpeed.low, "0 77 65538 1"), (.full, "0 77 65538 2"), (.high, "0 77 65538 3"), (.wireless, "0 77 65538 4"),
        (.super, "9 77 65538 5"), (.superPlus, "9 77 65538 5"),
    ])
    func attachWritesOneLine(_ speed: USBSpeed, _ line: String) throws {
        let sysfs = try FakeSysfs()
        try sysfs.importer(
            StatusLine.port(0, 4) + StatusLine.port(1, 4) + StatusLine.port(8, 7, super: true)
                + StatusLine.port(9, 4, super: true))
        let driver = ImporterDriver(tree: sysfs.tree)
        let port = try driver.attach(record("1-1", 1, 2, speed: speed), socket: 77)
        #expect(sysfs.text("\(FakeSysfs.importer)/attach") == line)
        #expect("\(port)" == line.prefix(1))
    }

    @Test func attachToACertainPort() throws {
        let sysfs = try FakeSysfs()
        try sysfs.importer(StatusLine.port(0, 4) + StatusLine.port(1, 4) + StatusLine.port(8, 4, super: true))
        let driver = ImporterDriver(tree: sysfs.tree)
        #expect(try driver.attach(record("1-1", 1, 2), socket: 4, port: 1) == 1)
        #expect(sysfs.text("\(FakeSysfs.importer)/attach") == "1 4 65538 3")
        for port in [8, 2, 65535, -1] {
            let error = diagnostic { try driver.attach(record("1-1", 1, 2), socket: 4, port: port) }
            #expect(error?.exitCode == .unavailable && error?.message.contains("port \(port) is no free") == true)
        }
    }

    @Test func attachThatFails() throws {
        let sysfs = try FakeSysfs()
        try sysfs.importer(StatusLine.port(0, 6) + StatusLine.port(1, 5) + StatusLine.port(2, 7))
        let driver = ImporterDriver(tree: sysfs.tree)
        let full = diagnostic { try driver.attach(record("1-1", 1, 2), socket: 4) }
        #expect(full?.exitCode == .unavailable && full?.message.contains("is taken") == true)
        let slow = diagnostic { try driver.attach(record("1-1", 1, 2, speed: .unknown), socket: 4) }
        #expect(slow?.exitCode == .badProtocol)
        #expect(sysfs.text("\(FakeSysfs.importer)/attach") == "")
        try sysfs.file("\(FakeSysfs.importer)/status", StatusLine.port(0, 4))
        try sysfs.spoil("\(FakeSysfs.importer)/attach")
        #expect(diagnostic { try driver.attach(record("1-1", 1, 2), socket: 4) }?.exitCode == .ioError)
        try sysfs.remove("\(FakeSysfs.importer)/attach")
        #expect(diagnostic { try driver.attach(record("1-1", 1, 2), socket: 4) }?.exitCode == .noSuch)
    }

    @Test func detach() throws {
        let sysfs = try FakeSysfs()
        try sysfs.importer("")
        let driver = ImporterDriver(tree: sysfs.tree)
        try driver.detach(17)
        #expect(sysfs.text("\(FakeSysfs.importer)/detach") == "17")
        try sysfs.spoil("\(FakeSysfs.importer)/detach")
        #expect(diagnostic { try driver.detach(17) }?.exitCode == .ioError)
        try sysfs.remove("\(FakeSysfs.importer)/detach")
        let none = diagnostic { try driver.detach(17) }
        #expect(none?.exitCode == .noSuch && none?.message.contains("port 17: nothing is attached") == true)
    }

    // MARK: What is remembered of a port

    private static func line(_ state: Int, _ devid: UInt32 = 0) throws -> ImporterPort {
        try #require(ImporterPort(StatusLine.port(3, state, devid: devid).trimmingCharacters(in: .newlines)))
    }

    @Test func recordsOfPorts() throws {
        let folder = try ScratchFolder()
        func read(_ state: Int, _ devid: UInt32 = 0) throws -> PortRecord? {
            PortRecord.read(folder.path, try Self.line(state, devid))
        }
        #expect(try read(6, 0x10002) == nil)
        PortRecord(busID: BusID("1-1.4")!, identity: "46f4:0001", devid: 0x10002, channel: 7, rule: "-")
            .write(folder.path, 3)
        let record = try #require(try read(6, 0x10002))
        #expect(record.busID == BusID("1-1.4") && record.identity == "46f4:0001" && record.devid == 0x10002)
        #expect(record.channel == 7 && record.rule == "-")
        // Before the device has its address, and in error, the kernel does not tell which one it is.
        #expect(try read(5) != nil && read(7) != nil)
        // A record of an earlier device: the port is free, or has another.
        #expect(try read(4) == nil && read(6, 0x10003) == nil && read(6, 0) == nil)
        PortRecord(busID: BusID("2-1")!, identity: "0000:0001", devid: 9, channel: 0, rule: "46f4:0001")
            .write(folder.path, 3)
        #expect(try read(6, 9)?.rule == "46f4:0001")
        PortRecord.remove(folder.path, 3)
        #expect(try read(6, 9) == nil)
        PortRecord.remove(folder.path, 3)
    }

    @Test(arguments: [
        "", "\n", "1-1 46f4:0001 65538 7\n", "1-1 46f4:0001 65538 7 - more\n", "usb1 46f4:0001 65538 7 -\n",
        "1-1 46f4:0001 0x10002 7 -\n", "1-1 46f4:0001 65538 -7 -\n", "\0", "../1-1 46f4:0001 65538 7 -\n",
        "1-1 46f4:0001 4295032834 7 -\n", "\n1-1 46f4:0001 65538 7 -\n",
    ])
    func recordsThatAreNone(_ text: String) throws {
        let folder = try ScratchFolder()
        try folder.add("vhci/3", text)
        #expect(PortRecord.read(folder.path, try Self.line(6, 0x10002)) == nil)
    }
}

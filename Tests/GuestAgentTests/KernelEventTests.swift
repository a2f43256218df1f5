// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing
import USBIP

@testable import GuestAgent

@Suite struct KernelEventTests {
    private static func bytes(
        _ head: String, subsystem: String = "usb", type: String = "usb_device", separator: String = "\0"
    ) -> [UInt8] {
        let path = head.split(separator: "@", maxSplits: 1).last ?? ""
        let action = head.split(separator: "@").first ?? ""
        let fields = [
            head, "ACTION=\(action)", "DEVPATH=\(path)", "SUBSYSTEM=\(subsystem)", "MAJOR=189",
            "DEVNAME=bus/usb/001/002",
            "DEVTYPE=\(type)", "PRODUCT=46f4/1/0", "BUSNUM=001", "DEVNUM=002", "SEQNUM=1234",
        ]
        return fields.flatMap { Array(($0 + separator).utf8) }
    }

    @Test(arguments: [
        ("add@/devices/pci0000:00/0000:00:04.0/usb1/1-1", KernelEvent.Action.added, "1-1", false),
        ("remove@/devices/pci0000:00/0000:00:04.0/usb1/1-1/1-1.4", .removed, "1-1.4", false),
        ("add@/devices/platform/vhci_hcd.0/usb3/3-1", .added, "3-1", true),
        ("remove@/devices/platform/vhci_hcd.12/usb27/27-8", .removed, "27-8", true),
        ("add@/devices/platform/dummy_hcd.0/usb2/2-1", .added, "2-1", false),
    ])
    func devices(_ head: String, _ action: KernelEvent.Action, _ busID: String, _ isImported: Bool) throws {
        let event = try #require(KernelEvent(Self.bytes(head)))
        #expect(event.action == action && event.busID == BusID(busID) && event.isImported == isImported)
    }

    /// Events of what is no whole device, or of no coming or going: a driver that takes a device is no news.
    @Test(arguments: [
        ("add@/devices/pci0000:00/usb1/1-1/1-1:1.0", "usb", "usb_interface"),
        ("add@/devices/pci0000:00/usb1/1-1/1-1:1.0", "usb", "usb_device"),
        ("add@/devices/pci0000:00/usb1", "usb", "usb_device"), ("add@1-1", "usb", "usb_device"),
        ("bind@/devices/pci0000:00/usb1/1-1", "usb", "usb_device"),
        ("unbind@/devices/pci0000:00/usb1/1-1", "usb", "usb_device"),
        ("change@/devices/pci0000:00/usb1/1-1", "usb", "usb_device"),
        ("ADD@/devices/pci0000:00/usb1/1-1", "usb", "usb_device"),
        ("@/devices/pci0000:00/usb1/1-1", "usb", "usb_device"), ("add@", "usb", "usb_device"),
        ("add@/devices/pci0000:00/usb1/1-1", "usbmisc", "usb_device"),
        ("add@/devices/pci0000:00/usb1/1-1", "usb", "usb_devices"),
        ("add@/devices/pci0000:00/usb1/../1-1/", "usb", "usb_device"),
        ("add/devices/pci0000:00/usb1/1-1", "usb", "usb_device"),
    ])
    func others(_ head: String, _ subsystem: String, _ type: String) {
        #expect(KernelEvent(Self.bytes(head, subsystem: subsystem, type: type)) == nil)
    }

    @Test func garbage() throws {
        let head = "add@/devices/pci0000:00/usb1/1-1"
        let good = Self.bytes(head)
        #expect(KernelEvent([]) == nil && KernelEvent([0]) == nil && KernelEvent([0xFF, 0xFE]) == nil)
        // Without the zeros it is one field.
        #expect(KernelEvent(Self.bytes(head, separator: "")) == nil)
        #expect(KernelEvent(Self.bytes(head, separator: "\n")) == nil)
        // Cut anywhere: an event that can be read is the right one.
        for count in 0..<good.count {
            if let event = KernelEvent(Array(good[..<count])) { #expect(event.busID == BusID("1-1")) }
        }
        // udev's own messages begin otherwise.
        #expect(KernelEvent(Array("libudev\0".utf8) + good) == nil)
        print("seed \(TestRun.seed)")
        for i in 0..<200 { #expect(KernelEvent(randomBytes(i, seed: TestRun.seed &+ UInt64(i))) == nil) }
    }
}

@Suite struct ManagerReportTests {
    @Test func roundTrip() throws {
        let busID = try #require(BusID("10-2.3"))
        let reports: [ManagerReport] = [
            .exported(busID, rule: "46f4:0001:x"), .exported(busID, rule: "10-2.3"), .wanted(rule: "serial:é"),
            .serving(stream: 0, busID), .serving(stream: 1_000_000, busID),
        ]
        for (i, report) in reports.enumerated() {
            #expect(ManagerReport(report.bytes) == report)
            for (j, other) in reports.enumerated() { #expect((report == other) == (i == j)) }
            // The longest rule there may be fits into one packet.
            #expect(report.bytes.count < 512)
        }
    }

    @Test(arguments: [
        "", " ", "exported", "exported 1-1", "exported usb1 1-1", "exported 1-1 rule more", "wanted", "wanted a b",
        "serving", "serving 7", "serving -1 1-1", "serving 1000001 1-1", "serving x 1-1", "serving 7 usb1",
        "serving 7 1-1 x", "Exported 1-1 x", "served 7 1-1", "\0", "exported\0001-1 x",
    ])
    func garbage(_ text: String) { #expect(ManagerReport(Array(text.utf8)) == nil) }
}

@Suite struct ChannelProgressTests {
    @Test func text() {
        for requests in [0, 1, UInt64.max] {
            for seconds in [nil, 0, 9, UInt64.max] {
                let progress = ChannelProgress(requests: requests, unansweredSeconds: seconds)
                #expect(ChannelProgress(progress.text) == progress)
            }
        }
        #expect(ChannelProgress(requests: 3, unansweredSeconds: nil).text == "3 -")
        #expect(ChannelProgress(requests: 3, unansweredSeconds: 0).text == "3 0")
        for text in ["", " ", "3", "- 3", "x -", "3 - -", "-1 -", "18446744073709551616 -", "\0 \0"] {
            #expect(ChannelProgress(text) == nil, "\(text)")
        }
    }
}

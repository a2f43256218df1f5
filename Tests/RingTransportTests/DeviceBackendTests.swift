// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import RingTransport

/// UIO and PCI against a made-up sysfs; regular files stand in for the devices. They show which bytes of a
/// device are mapped, and what is said when something is missing; they cannot show interrupts, memory types
/// that the processor enforces, or a driver that has claimed a BAR.
@Suite struct DeviceBackendTests {
    /// `uio0` of another driver, `uio1` with a doorbell page and three pages of memory. On a real device the
    /// offset of a map is its number of pages, whatever its size; in the file, that is where it begins.
    private func makeUIO(_ name: String = "ringway") throws -> Pages {
        let pages = try Pages()
        try pages.text("sys/class/uio/uio0/name", "other\n")
        try pages.text("sys/class/uio/uio1/name", name + "\n")
        try pages.text("sys/class/uio/uio1/maps/map0/size", "0x1000\n")
        try pages.text("sys/class/uio/uio1/maps/map1/size", "0x0000000000003000\n")
        try pages.pages("dev/uio1", 4)
        return pages
    }

    @Test func aUIOMapWholeAndInParts() throws {
        let pages = try makeUIO()
        let whole = try pages.open("uio:ringway", writable: true)
        #expect(whole.size == 3 * 4096)
        #expect((0..<3).map { whole.page($0) } == [1, 2, 3])
        let part = try pages.open("uio:ringway,offset=4K,size=4K")
        #expect(part.size == 4096)
        #expect(part.page(0) == 2)
        let last = try pages.open("uio:ringway,map=1,offset=8K")
        #expect(last.size == 4096)
        #expect(last.page(0) == 3)
        let first = try pages.open("uio:ringway,map=0")
        #expect(first.size == 4096)
        #expect(first.page(0) == 0)
    }

    @Test func ofSeveralDevicesTheFirstByName() throws {
        let pages = try makeUIO()
        for device in ["uio7", "uio2", "uio4"] {
            try pages.text("sys/class/uio/\(device)/name", "twin\n")
            try pages.text("sys/class/uio/\(device)/maps/map0/size", "0x1000\n")
        }
        try pages.pages("dev/uio2", 1)
        #expect(try pages.open("uio:twin,map=0").size == 4096)
    }

    @Test func onlyTheSectionStaysMapped() throws {
        let pages = try makeUIO()
        let path = pages.path("dev/uio1")
        do {
            let part = try pages.open("uio:ringway,offset=8K,size=4K")
            let found = try mappings(of: path)
            #expect(found.bytes == part.size)
            #expect(found.protections == ["r--s"])
        }
        #expect(try mappings(of: path).bytes == 0)
    }

    /// What a map is called tells its memory type, and not who made it.
    @Test(arguments: [
        (nil, MemoryType.uncached), ("memory", .uncached), ("memory, uncached", .uncached), ("memory, cached", .cached),
        ("cached", .uncached), ("", .uncached),
    ])
    func theDriverSaysWhatItMaps(called: String?, type: MemoryType) throws {
        for driver in ["ringway", "dataport"] {
            let pages = try makeUIO(driver)
            if let called { try pages.text("sys/class/uio/uio1/maps/map1/name", called + "\n") }
            #expect(try pages.open("uio:\(driver)").memoryType == type)
            #expect(try pages.open("uio:\(driver)").faults == 0)
        }
    }

    @Test(arguments: ["size=16K", "offset=8K,size=8K", "offset=12K", "offset=1G,size=4K"])
    func beyondAUIOMap(options: String) throws {
        let error = try makeUIO().failure("uio:ringway,\(options)")
        #expect(error.kind == .tooSmall)
        #expect(error.message.contains("12288 bytes"))
    }

    @Test func missingUIOParts() throws {
        let pages = try makeUIO()
        let unknown = try pages.failure("uio:nothing")
        #expect(unknown.kind == .noSuch)
        #expect(unknown.message.contains("other") && unknown.message.contains("ringway"))
        let map = try pages.failure("uio:ringway,map=2")
        #expect(map.kind == .noSuch)
        #expect(map.message.contains("no map 2"))
        let device = try pages.failure("uio:other,map=0")
        #expect(device.kind == .noSuch)
        try pages.text("sys/class/uio/uio1/maps/map1/size", "many\n")
        #expect(try pages.failure("uio:ringway").kind == .noSuch)
        try FileManager.default.removeItem(atPath: pages.path("dev/uio1"))
        let node = try pages.failure("uio:ringway,map=0")
        #expect(node.kind == .noSuch)
        #expect(node.message.contains("dev/uio1"))
        #expect(try Pages().failure("uio:ringway").message.contains("no uio device"))
    }

    private func makePCI() throws -> Pages {
        let pages = try Pages()
        for (address, vendor, device) in [
            ("0000:00:05.0", "0x1af4", "0x1110"), ("0000:00:04.0", "0x1af4", "0x1110"),
            ("0000:00:03.0", "0x1af4", "0x1041"),
        ] {
            let folder = "sys/bus/pci/devices/\(address)"
            try pages.text("\(folder)/vendor", vendor + "\n")
            try pages.text("\(folder)/device", device + "\n")
            try pages.text("\(folder)/enable", "0\n")
        }
        try pages.pages("sys/bus/pci/devices/0000:00:04.0/resource2", 3)
        try pages.pages("sys/bus/pci/devices/0000:00:05.0/resource2", 1)
        try pages.text("sys/bus/pci/devices/0000:00:04.0/resource0", "")
        try pages.pages("sys/bus/pci/devices/0000:00:04.0/resource2_wc", 2)
        return pages
    }

    @Test func aBarByAddress() throws {
        let pages = try makePCI()
        let whole = try pages.open("pci:0000:00:04.0", writable: true)
        #expect(whole.size == 3 * 4096)
        #expect(whole.memoryType == .uncached)
        let part = try pages.open("pci:0000:00:04.0,bar=2,offset=4K,size=4K")
        #expect(part.page(0) == 1)
        #expect(part.size == 4096)
        #expect(try pages.open("pci:0000:00:05.0").size == 4096)
        let enable = try String(contentsOfFile: pages.path("sys/bus/pci/devices/0000:00:04.0/enable"), encoding: .utf8)
        #expect(enable.hasPrefix("1"), "a disabled device reads as ones")
    }

    @Test func aBarByVendorAndDevice() throws {
        let pages = try makePCI()
        #expect(try pages.open("pci:1af4:1110").size == 3 * 4096, "the first of two, by address")
        #expect(try pages.open("pci:1AF4:1110").size == 3 * 4096)
        let combining = try pages.open("pci:1af4:1110,wc")
        #expect(combining.size == 2 * 4096)
        #expect(combining.memoryType == .writeCombining)
    }

    @Test(arguments: ["1af4:1111", "8086:1110", "0000:00:06.0", "1af4", "x:y", "1af4:1110:0", "1af4:1110,bar=3"])
    func missingPCIParts(device: String) throws {
        let error = try makePCI().failure("pci:\(device)")
        #expect(error.kind == .noSuch)
        #expect(error.message.contains("bar=") || error.message.contains("VENDOR:DEVICE"))
    }

    @Test func aBarWithoutMemory() throws {
        let pages = try makePCI()
        let error = try pages.failure("pci:0000:00:04.0,bar=0")
        #expect(error.kind == .badContent)
        #expect(error.message.contains("correct bar="))
        #expect(try pages.failure("pci:0000:00:04.0,size=16K").kind == .tooSmall)
    }

    @Test func physicalMemory() throws {
        let pages = try Pages()
        try pages.pages("dev/mem", 6)
        let section = try pages.open("devmem:0x2000,offset=4K,size=8K", writable: true)
        #expect(section.size == 8192)
        #expect([section.page(0), section.page(1)] == [3, 4])
        #expect(section.memoryType == .unknown)
        for beyond in [
            "0xfffffffffffff000,size=8K", "0x7ffffffffffff000,size=4K",
            "0x3000,offset=4611686018427383808,size=4611686018427383808",
        ] {
            #expect(try pages.failure("devmem:\(beyond)").kind == .tooSmall)
        }
        let missing = try #require(throws: TransportError.self) {
            try Pages().open("devmem:0x2000,size=8K")
        }
        #expect(missing.kind == .noSuch)
        #expect(missing.message.contains("CONFIG_DEVMEM"))
    }
}

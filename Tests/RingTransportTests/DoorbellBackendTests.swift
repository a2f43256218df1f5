// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import RingBuffer
import TestSupport
import Testing

@testable import RingTransport

/// Each way to ring and to be woken, against what FakeInterrupt plays. Not shown here: that a processor's store into
/// a page reaches a monitor, and that an interrupt arrives.
@Suite struct DoorbellBackendTests {
    // MARK: Which device, which page

    /// `uio0` and `uio1` are two devices, `event5` an input device; in each file page p is full of p.
    private func makeDevices() throws -> Pages {
        let pages = try Pages()
        for (device, name, maps) in [
            ("uio0", "first", ["memory", "doorbell"]), ("uio1", "second", ["ivshmem", "memory"]),
        ] {
            try pages.text("sys/class/uio/\(device)/name", name + "\n")
            for (map, called) in maps.enumerated() {
                try pages.text("sys/class/uio/\(device)/maps/map\(map)/name", called + "\n")
            }
            try pages.pages("dev/\(device)", 5)
        }
        try pages.text("sys/class/input/event5/device/name", "peer\n")
        try pages.text("sys/class/input/mouse0/device/name", "peer\n")
        try pages.text("sys/class/input/input7/name", "peer\n")
        try pages.pages("dev/input/event5", 1)
        try pages.pages("dev/mem", 5)
        return pages
    }

    /// Which bytes of a device's file differ from what it had at first, in 4-byte words: place and value.
    private func changes(_ pages: Pages, _ device: String) throws -> [Int: UInt32] {
        let data = try Data(contentsOf: URL(fileURLWithPath: pages.path("dev/\(device)")))
        var changes: [Int: UInt32] = [:]
        for place in stride(from: 0, to: data.count, by: 4) {
            let word = (0..<4).reduce(UInt32(0)) { $0 | UInt32(data[place + $1]) << (8 * $1) }
            let page = UInt32(place / 4096)
            if word != page * 0x0101_0101 { changes[place] = word }
        }
        return changes
    }

    @Test(arguments: [
        // A device that masks its interrupt is written to at once: the word at 0.
        ("uio:first", "uio0", [0: UInt32(1)], "uio0", [4096: UInt32(1)], UInt32(0)),
        ("uio:second", "uio1", [0: 1], "uio1", [12: 7 << 16], 0),
        ("generic-uio:first,map=3", "uio0", [0: 1], "uio0", [3 * 4096: 1], 0),
        ("generic-uio:second", "uio1", [0: 1], "uio1", [4096: 1], 0),
        ("connection:second", "uio1", [:], "uio1", [0: 1], 0),
        ("connection:first,ring=second", "uio0", [:], "uio1", [0: 1], 0),
        ("gpio-keys:peer,page=0x2000", "input/event5", [:], "mem", [0x2000: 1], 0),
    ])
    func theStoreGoesIntoTheRightPage(
        text: String, waits: String, atOpening: [Int: UInt32], rings: String, stored: [Int: UInt32], identifier: UInt32
    ) throws {
        let pages = try makeDevices()
        let doorbell = try Doorbell.open(
            .parse(text), sysfsRoot: pages.path("sys"), deviceRoot: pages.path("dev"))
        #expect(doorbell.name == text)
        #expect(try changes(pages, waits) == atOpening)
        doorbell.ring(peerIdentifier: 7)
        let expected = waits == rings ? stored.merging(atOpening) { ring, _ in ring } : stored
        #expect(try changes(pages, rings) == expected)
        #expect(doorbell.ownIdentifier == identifier, "no page but ivshmem's is read")
        let opened = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(doorbell.descriptor)")
        #expect(opened.hasSuffix("/dev/" + waits))
    }

    @Test func theOldIdentifierIsIvshmems() throws {
        let pages = try makeDevices()
        let file = try Mapping(path: pages.path("dev/uio1"), size: 4096)
        SharedWord32(file.base + 8).storeRelaxed(0xABCD)
        let devices = [("uio:second", UInt32(0xABCD)), ("connection:second", 0), ("generic-uio:second", 0)]
        for (text, identifier) in devices {
            let doorbell = try Doorbell.open(
                .parse(text), sysfsRoot: pages.path("sys"), deviceRoot: pages.path("dev"))
            #expect(doorbell.ownIdentifier == identifier)
        }
    }

    @Test(arguments: [
        ("connection:third", TransportError.Kind.noSuch, "there are first, second"),
        ("connection:first,ring=third", .noSuch, "third"),
        ("gpio-keys:keys,page=0x1000", .noSuch, "input device `keys`"),
        ("gpio-keys:peer,page=0x1000", .noSuch, "dev/mem"),
    ])
    func whatIsMissingIsNamed(text: String, kind: TransportError.Kind, says: String) throws {
        let pages = try makeDevices()
        try FileManager.default.removeItem(atPath: pages.path("dev/mem"))
        let error = try #require(throws: TransportError.self) {
            try Doorbell.open(.parse(text), sysfsRoot: pages.path("sys"), deviceRoot: pages.path("dev"))
        }
        #expect(error.kind == kind && error.message.contains(says), "\(error.message)")
    }

    // MARK: Being woken

    private static let waits: [(String, FakeInterrupt.Driver)] = [
        ("uio:x", .uio), ("generic-uio:x", .uio), ("connection:x", .connection), ("gpio-keys:x,page=0x1000", .input),
    ]

    private func doorbell(_ text: String, _ fake: FakeInterrupt) throws -> Doorbell {
        let page = try #require(mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
        let doorbell = Doorbell(try .parse(text), descriptor: fake.device, page: page)
        #expect(doorbell.rearm())
        return doorbell
    }

    @Test(arguments: waits)
    func aDrainTakesAllAndLetsTheNextThrough(text: String, driver: FakeInterrupt.Driver) throws {
        let fake = try FakeInterrupt(driver)
        let doorbell = try doorbell(text, fake)
        #expect(!fake.isReadable && doorbell.drain() == 0, "nobody has rung")
        for round in 1...5 {
            // They merge, whatever their number.
            for _ in 0..<round { fake.interrupt() }
            #expect(fake.isReadable)
            #expect(doorbell.drain() == 1)
            fake.takeWrites()
            // One that a masked device has kept comes now; there is no second.
            if fake.isReadable { #expect(driver == .uio && round > 1 && doorbell.drain() == 1) }
            fake.takeWrites()
            #expect(!fake.isReadable && doorbell.drain() == 0)
        }
    }

    /// What the connection's and the input driver are told: nothing. The others: to unmask, each time.
    @Test(arguments: waits)
    func onlyUIODriversThatMaskAreWrittenTo(text: String, driver: FakeInterrupt.Driver) throws {
        let fake = try FakeInterrupt(driver)
        let doorbell = try doorbell(text, fake)
        var words = fake.takeWrites()
        for _ in 0..<3 {
            fake.interrupt()
            _ = doorbell.drain()
            words += fake.takeWrites()
        }
        #expect(words == (driver == .uio ? [1, 1, 1, 1] : []))
    }

    /// A flood fills the queue of an input device, whose driver then forgets; the doorbell works on.
    @Test func aFloodOfKeysIsOneWakeUp() throws {
        let fake = try FakeInterrupt(.input)
        let doorbell = try doorbell("gpio-keys:x,page=0x1000", fake)
        for _ in 0..<100 { fake.interrupt() }
        #expect(doorbell.drain() == 1 && !fake.isReadable)
        fake.interrupt()
        #expect(doorbell.drain() == 1 && !fake.isReadable)
    }

    /// A peer that publishes and rings at random, a monitor that drops what it cannot inject, interrupts that are
    /// another's: whoever wakes up by the doorbell, or at the end of a bounded sleep, and then looks, misses nothing,
    /// and only a loss costs the whole sleep.
    @Test(arguments: waits, [false, true])
    func whateverIsLostIsFoundAtTheEndOfASleep(
        wait: (text: String, driver: FakeInterrupt.Driver), loses: Bool
    ) throws {
        let seed = TestRun.seed
        print("seed \(seed)")
        var random = SeededGenerator(seed)
        let fake = try FakeInterrupt(wait.driver, losesWhileMasked: loses)
        let doorbell = try doorbell(wait.text, fake)
        var isRung = false
        var isLost = false
        var sleptThrough = 0
        for _ in 0..<2000 {
            switch Int.random(in: 0..<4, using: &random) {
            case 0, 1:
                isRung = true
                if fake.interrupt() { isLost = true }
            // Another's, on a line that is shared.
            case 2: fake.interrupt()
            default:
                fake.takeWrites()
                if fake.isReadable {
                    _ = doorbell.drain()
                } else if isRung {
                    sleptThrough += 1
                    #expect(isLost, "a ring was missed that nobody had lost")
                }
                // Between the doorbell and the look: it is seen now, and its interrupt is a false one later.
                if Bool.random(using: &random) { fake.interrupt() }
                (isRung, isLost) = (false, false)
            }
        }
        #expect(loses || sleptThrough == 0)
        fake.takeWrites()
        if fake.isReadable { _ = doorbell.drain() }
        fake.takeWrites()
        fake.interrupt()
        #expect(fake.isReadable, "after whatever came, the next ring wakes")
    }
}

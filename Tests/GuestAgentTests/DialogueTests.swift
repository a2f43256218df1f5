// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport
import Testing
import USBIP

@testable import GuestAgent

/// A dialogue's socket, and the other end of it.
private final class Pair {
    let near: Int32
    let far: Stream

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0, &ends) == 0 else {
            throw SystemFailure("socketpair")
        }
        near = ends[0]
        far = Stream(ends[1])
    }

    /// With bytes that the other end has already sent, and perhaps its end.
    convenience init(_ sent: [UInt8], ends: Bool = true) throws {
        try self.init()
        if !sent.isEmpty { try far.write(sent) }
        if ends { far.finishWriting() }
    }

    deinit { close(near) }

    /// What is left unread for whoever gets the socket next.
    func left() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(near, &buffer, buffer.count, cs_msg_dontwait())
        return Array(buffer[..<max(0, count)])
    }

    /// What the dialogue has sent.
    func answer() throws -> [UInt8] {
        shutdown(near, cs_shut_wr())
        return try far.readToEnd()
    }
}

private let header: [UInt8] = [0x01, 0x11, 0x00, 0x03]
private func reply(status: UInt32) -> [UInt8] { header + withUnsafeBytes(of: status.bigEndian) { Array($0) } }

@Suite struct ImportDialogueTests {
    private static let asked = record("1-1.4", 0x46F4, 1)
    private static let good = Operation.replyImport(asked)

    private static func request(_ pair: Pair, milliseconds: Int = 20_000) throws -> DeviceRecord {
        try ImportDialogue.request(asked.busID, pair.near, milliseconds: milliseconds)
    }

    /// The reply, and nothing behind it: that is the kernel's.
    @Test func granted() throws {
        for tail in [[], [7], [UInt8](repeating: 9, count: 1000)] {
            let pair = try Pair(Self.good + tail)
            #expect(try Self.request(pair) == Self.asked)
            #expect(pair.left() == tail)
            #expect(try pair.answer() == Operation.requestImport(Self.asked.busID))
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 0x8000_0000, UInt32.max])
    func refused(_ status: UInt32) throws {
        let tail: [UInt8] = [1, 2, 3]
        let pair = try Pair(reply(status: status) + tail)
        let error = diagnostic { try Self.request(pair) }
        #expect(error?.exitCode == .unavailable)
        #expect(error?.message.hasSuffix("the peer refused: " + OperationStatus.sentence(of: status)) == true)
        #expect(pair.left() == tail)
    }

    /// Cut anywhere, it is a peer that is not there; whether it says so or just falls silent.
    @Test func everyTruncation() throws {
        #expect(Self.good.count == 320)
        for count in 0..<Self.good.count {
            let ended = diagnostic { try Self.request(Pair(Array(Self.good[..<count]))) }
            #expect(ended?.exitCode == .unavailable && ended?.message.contains("was closed") == true, "\(count)")
        }
        for count in [0, 1, 7, 8, 9, 319] {
            let pair = try Pair(Array(Self.good[..<count]), ends: false)
            let silent = diagnostic { try Self.request(pair, milliseconds: 1) }
            #expect(silent?.exitCode == .unavailable && silent?.message.contains("no answer in time") == true)
        }
    }

    @Test func anotherDevice() throws {
        for other in ["1-1", "1-1.40", "1-1.4.1", "2-1.4"] {
            let error = diagnostic { try Self.request(Pair(Operation.replyImport(record(other, 0x46F4, 1)))) }
            #expect(error?.exitCode == .badProtocol, "\(other)")
        }
    }

    /// Every byte of the header, and of the numbers that are judged, wrong: never a device.
    @Test func wrongBytes() throws {
        for offset in Array(0..<4) + Array(8 + 256..<8 + 256 + 5) {
            var bytes = Self.good
            bytes[offset] ^= 0x40
            let error = diagnostic { try Self.request(Pair(bytes)) }
            #expect(error?.exitCode == .badProtocol, "byte \(offset)")
        }
        for bytes in [
            Operation.requestImport(Self.asked.busID), Operation.replyDeviceList([]), Operation.requestDeviceList(),
            [UInt8](repeating: 0, count: 320), Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8),
        ] {
            #expect(diagnostic { try Self.request(Pair(bytes)) }?.exitCode == .badProtocol)
        }
    }

    @Test func randomBytesBehindAGoodHeader() throws {
        let seed = TestRun.seed
        print("seed \(seed)")
        for i in 0..<500 {
            let junk = randomBytes(312, seed: seed &+ UInt64(i))
            #expect(diagnostic { try Self.request(Pair(reply(status: 0) + junk)) }?.exitCode == .badProtocol)
            let other = randomBytes(i, seed: seed &- UInt64(i))
            #expect(diagnostic { try Self.request(Pair(other)) } != nil)
        }
    }

    @Test func aPeerThatIsGone() throws {
        var pair: Pair? = try Pair()
        let near = dup(try #require(pair).near)
        defer { close(near) }
        pair = nil
        let error = diagnostic { try ImportDialogue.request(Self.asked.busID, near) }
        #expect(error?.exitCode == .unavailable && error?.message.contains("was closed") == true)
    }
}

@Suite struct ExportDialogueTests {
    private static let busID = BusID("1-1")!

    private static func filled() throws -> FakeSysfs {
        let sysfs = try FakeSysfs()
        for (name, status) in [("1-1", "1\n"), ("1-2", "2\n"), ("1-3", "3\n")] {
            try sysfs.device(name)
            try sysfs.export(name, status: status)
        }
        try sysfs.device("1-4")
        return sysfs
    }

    private static func run(_ sysfs: FakeSysfs, _ pair: Pair, milliseconds: Int = 20_000) throws -> BusID? {
        try ExportDialogue(driver: ExporterDriver(tree: sysfs.tree), socket: pair.near, milliseconds: milliseconds)
            .run()
    }

    /// What is exported and free, and nothing else.
    @Test func list() throws {
        let sysfs = try Self.filled()
        let pair = try Pair(Operation.requestDeviceList() + [5], ends: false)
        #expect(try Self.run(sysfs, pair) == nil)
        #expect(pair.left() == [5])
        let listed = try #require(LocalDevice.read(Self.busID, sysfs.tree)).listed
        #expect(try pair.answer() == Operation.replyDeviceList([listed]))
        let none = try Pair(Operation.requestDeviceList())
        #expect(try Self.run(FakeSysfs(), none) == nil)
        #expect(try none.answer() == Operation.replyDeviceList([]))
    }

    /// What the policy denies is not in the list, and is refused as if it was not there.
    @Test func againstThePolicy() throws {
        let sysfs = try Self.filled()
        let policy = try Policy.parse("deny 1-1\nallow\n", path: "/p")
        let driver = ExporterDriver(tree: sysfs.tree, policy: policy)
        let list = try Pair(Operation.requestDeviceList())
        #expect(try ExportDialogue(driver: driver, socket: list.near).run() == nil)
        #expect(try list.answer() == Operation.replyDeviceList([]))
        let pair = try Pair(Operation.requestImport(Self.busID))
        let error = diagnostic { _ = try ExportDialogue(driver: driver, socket: pair.near).run() }
        #expect(error?.exitCode == .unavailable)
        #expect(try pair.answer() == Operation.replyImport(.noDevice))
        #expect(sysfs.text("devices/pci0000:00/usb1/1-1/usbip_sockfd") == "")
    }

    /// The kernel has the socket, and the importer its answer; what it sent behind the request is the kernel's.
    @Test func granted() throws {
        let sysfs = try Self.filled()
        let tail = [UInt8](repeating: 3, count: 48)
        let pair = try Pair(Operation.requestImport(Self.busID) + tail)
        #expect(try Self.run(sysfs, pair) == Self.busID)
        #expect(pair.left() == tail)
        #expect(sysfs.text("devices/pci0000:00/usb1/1-1/usbip_sockfd") == "\(pair.near)\n")
        let device = try #require(LocalDevice.read(Self.busID, sysfs.tree))
        #expect(try pair.answer() == Operation.replyImport(device.record))
    }

    @Test(arguments: [
        ("1-2", OperationStatus.busy), ("1-3", .deviceError), ("1-4", .noDevice), ("9-9", .noDevice),
    ])
    func refused(_ name: String, _ status: OperationStatus) throws {
        let sysfs = try Self.filled()
        let pair = try Pair(Operation.requestImport(try #require(BusID(name))))
        let error = diagnostic { try Self.run(sysfs, pair) }
        #expect(error?.exitCode == .unavailable && error?.message.contains(name) == true)
        #expect(error?.message.hasSuffix(status.sentence) == true)
        #expect(try pair.answer() == Operation.replyImport(status))
        for other in ["1-1", "1-2", "1-3"] {
            #expect(sysfs.text("devices/pci0000:00/usb1/\(other)/usbip_sockfd") == "")
        }
    }

    /// A device that goes while it is asked for.
    @Test func halfGone() throws {
        let sysfs = try Self.filled()
        try sysfs.remove("devices/pci0000:00/usb1/1-1/busnum")
        let pair = try Pair(Operation.requestImport(Self.busID))
        #expect(diagnostic { try Self.run(sysfs, pair) }?.exitCode == .unavailable)
        #expect(try pair.answer() == Operation.replyImport(OperationStatus.noDevice))
        #expect(sysfs.text("devices/pci0000:00/usb1/1-1/usbip_sockfd") == "")
    }

    /// Cut, or silent, anywhere: nothing is answered, nothing handed over.
    @Test func everyTruncation() throws {
        let sysfs = try Self.filled()
        for request in [Operation.requestDeviceList(), Operation.requestImport(Self.busID)] {
            for count in 0..<request.count {
                for ends in [true, false] {
                    let pair = try Pair(Array(request[..<count]), ends: ends)
                    let error = diagnostic { try Self.run(sysfs, pair, milliseconds: ends ? 20_000 : 1) }
                    #expect(error?.exitCode == .unavailable, "\(count)")
                    #expect(error?.message.contains(ends ? "was closed" : "no answer in time") == true)
                    #expect(try pair.answer().isEmpty)
                }
            }
        }
        #expect(sysfs.text("devices/pci0000:00/usb1/1-1/usbip_sockfd") == "")
    }

    @Test func garbage() throws {
        let sysfs = try Self.filled()
        let request = Operation.requestImport(Self.busID)
        var bad = [
            Operation.replyImport(OperationStatus.ok), Operation.replyDeviceList([]), [UInt8](repeating: 0, count: 40),
        ]
        // Each byte of the header: version, code, status.
        for offset in 0..<8 {
            var bytes = request
            bytes[offset] ^= 0x20
            bad.append(bytes)
        }
        for text in ["", "usb1", "../1-1", "1-1/..", "1", String(repeating: "1", count: 32)] {
            bad.append(request[..<8] + Array(text.utf8) + [UInt8](repeating: 0, count: 32 - text.utf8.count))
        }
        print("seed \(TestRun.seed)")
        for i in 0..<200 { bad.append(randomBytes(40, seed: TestRun.seed &+ UInt64(i))) }
        for bytes in bad {
            let pair = try Pair(bytes)
            #expect(diagnostic { try Self.run(sysfs, pair) }?.exitCode == .badProtocol)
            #expect(try pair.answer().isEmpty)
        }
        #expect(sysfs.text("devices/pci0000:00/usb1/1-1/usbip_sockfd") == "")
    }
}

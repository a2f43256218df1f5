// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import USBIP

/// Whole connections between Linux's own `vhci_hcd` and `usbip-host` (Debian's kernel 6.1.192, stock `usbip` and
/// `usbipd` 2.0, over TCP on one machine's loopback), recorded once. Devices of QEMU 7.2: a keyboard that is
/// enumerated, on which h and i are pressed, and whose driver is then unbound; a disk of 1 MiB that is found and
/// partition-scanned; a full-speed sound device that plays 20 ms.
struct KernelTrafficTests {
    enum Device: String, CaseIterable { case keyboard, disk, sound }

    /// OP_REQ_IMPORT is 40 bytes long, OP_REP_IMPORT 320 (without the interfaces, which OP_REP_DEVLIST alone has).
    static func stream(_ device: Device, _ name: String, after dialogue: Int) throws -> [UInt8] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Recordings")
        let file = folder.appendingPathComponent("\(device).\(name).hex")
        return Array(bytes(try String(contentsOf: file, encoding: .utf8)).dropFirst(dialogue))
    }

    private func decode(
        _ device: Device, by size: Int
    ) throws -> (sent: [PDUDecoderTests.Found], received: [PDUDecoderTests.Found]) {
        let iso = device == .sound
        let sent = try TrafficDecoding.decode(.commands, Self.stream(device, "commands", after: 40), by: size, iso: iso)
        let commands = Dictionary(uniqueKeysWithValues: TrafficDecoding.headers(sent).map { ($0.seqnum, $0) })
        let received = try TrafficDecoding.decode(
            .replies, Self.stream(device, "replies", after: 320), by: size, of: commands, iso: iso)
        return (sent, received)
    }

    @Test("the same PDUs, whatever the pieces", arguments: Device.allCases)
    func pieces(_ device: Device) throws {
        let whole = try decode(device, by: 1 << 20)
        for size in [1, 2, 3, 7, 47, 48, 49, 63, 64, 100, 512] {
            let found = try decode(device, by: size)
            #expect(found.sent == whole.sent)
            #expect(found.received == whole.received)
        }
        #expect(try TrafficDecoding.encode(whole.sent) == Self.stream(device, "commands", after: 40))
        #expect(try TrafficDecoding.encode(whole.received) == Self.stream(device, "replies", after: 320))
    }

    @Test("the kernel's sequence numbers go on from one connection to the next")
    func sequenceNumbers() throws {
        #expect(TrafficDecoding.headers(try decode(.keyboard, by: 4096).sent).map(\.seqnum) == Array(1...20))
        #expect(TrafficDecoding.headers(try decode(.disk, by: 4096).sent).map(\.seqnum) == Array(16...66))
        #expect(TrafficDecoding.headers(try decode(.sound, by: 4096).sent).map(\.seqnum) == Array(67...135))
    }

    @Test("the kernel's replies name no device, no direction and no endpoint", arguments: Device.allCases)
    func replies(_ device: Device) throws {
        for header in TrafficDecoding.headers(try decode(device, by: 4096).received) {
            #expect(header.devid == 0 && header.endpoint == 0 && header.direction == .out)
        }
    }

    @Test("an unbound driver's request is taken back: its unlink is answered, the request is not")
    func unlink() throws {
        let found = try decode(.keyboard, by: 4096)
        let last = try #require(TrafficDecoding.headers(found.sent).last)
        guard case .cmdUnlink(let unlink) = last.body else {
            Issue.record("the last command is \(last)")
            return
        }
        #expect(unlink.seqnum == 19 && last.endpoint == 0 && last.direction == .out)
        let answers = TrafficDecoding.headers(found.received)
        #expect(answers.map(\.seqnum) == Array(1...18) + [20])
        guard case .retUnlink(let answer) = answers.last?.body else {
            Issue.record("the last reply is \(String(describing: answers.last))")
            return
        }
        #expect(answer.status == -104)  // -ECONNRESET: it was still waiting
    }

    @Test("a stalled OUT transfer says how much it was given, and carries nothing")
    func stall() throws {
        let found = try decode(.sound, by: 4096)
        let stalls = TrafficDecoding.headers(found.received).compactMap { header -> Int32? in
            guard case .retSubmit(let reply) = header.body, reply.status == -32 else { return nil }
            return Int32(bitPattern: UInt32(reply.actualLength))
        }
        #expect(stalls == Array(repeating: 2, count: 10))
    }

    @Test("sound: six packets of 192 bytes in each transfer, and the replies describe each")
    func isochronous() throws {
        let found = try decode(.sound, by: 4096)
        #expect(TrafficDecoding.descriptors(found.sent).count == 20 * 6)
        #expect(TrafficDecoding.descriptors(found.sent).allSatisfy { $0.length == 192 })
        let described = TrafficDecoding.descriptors(found.received)
        #expect(described.count == 20 * 6)
        #expect(described.allSatisfy { $0.status == 0 && $0.actualLength == 192 })
    }
}

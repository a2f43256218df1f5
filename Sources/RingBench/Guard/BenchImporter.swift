// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import USBIP

/// In the place of the importer's kernel: one request after the other.
final class BenchImporter {
    private let stream: Stream
    private var seqnum: UInt32 = 0
    private var room = [UInt8](repeating: 0, count: 1 << 20)

    /// Imports the device, reads its descriptors and sets its configuration, as a kernel does.
    init(_ socket: Int32, busID: BusID) throws {
        stream = Stream(socket)
        try stream.write(Operation.requestImport(busID))
        _ = try stream.read(320)
        try control(SetupPacket(requestType: 0x80, request: 6, value: 0x100, length: 18))
        try control(SetupPacket(requestType: 0x80, request: 6, value: 0x200, length: 9))
        try control(SetupPacket(requestType: 0x80, request: 6, value: 0x200, length: 32))
        try control(SetupPacket(requestType: 0x00, request: 9, value: 1))
    }

    deinit { close(stream.socket) }

    /// What a disk does to read `length` bytes: command, data, status (USB Mass Storage Class, Bulk-Only Transport).
    func readBlock(_ length: Int) throws {
        try request(.out, BenchDevice.bulkOut, 31)
        try request(.in, BenchDevice.bulkIn, length)
        try request(.in, BenchDevice.bulkIn, 13)
    }

    /// A control request with two bytes of answer.
    func askTwoBytes() throws { try control(SetupPacket(requestType: 0x80, request: 0, length: 2)) }

    private func control(_ setup: SetupPacket) throws {
        try request(setup.requestType & 0x80 != 0 ? .in : .out, 0, Int(setup.length), setup)
    }

    private func request(
        _ direction: TransferDirection, _ endpoint: UInt32, _ length: Int, _ setup: SetupPacket = SetupPacket()
    ) throws {
        seqnum += 1
        let submit = CmdSubmit(transferBufferLength: Int32(length), setup: setup)
        let header = PDUHeader(
            seqnum: seqnum, devid: 0x10002, direction: direction, endpoint: endpoint, body: .cmdSubmit(submit))
        try stream.write(header.encode() + (direction == .out ? Array(room[..<length]) : []))
        let reply = try PDUHeader(decoding: try stream.read(PDUHeader.size))
        guard reply.seqnum == seqnum, case .retSubmit(let body) = reply.body, body.status == 0 else {
            throw BenchError(
                tried: "read the answer to request \(seqnum)", happened: "there came \(reply)",
                remedy: "read what the agents have said")
        }
        if direction == .in { try stream.read(Int(body.actualLength), into: &room) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import USBIP

/// In the place of the exporter's kernel: answers every request at once, with as many bytes as it asks for. Ends with
/// its connection.
final class BenchExporter: Sendable {
    init(listener: Int32, busID: BusID) {
        Thread.detachNewThread {
            let socket = accept(listener, nil, nil)
            close(listener)
            try? Self.serve(Stream(socket), busID)
            close(socket)
        }
    }

    private static func serve(_ stream: Stream, _ busID: BusID) throws {
        _ = try stream.read(40)
        try stream.write(Operation.replyImport(BenchDevice.record(busID)))
        var room = [UInt8](repeating: 0, count: 1 << 20)
        let noise = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        while true {
            let header = try PDUHeader(decoding: try stream.read(PDUHeader.size))
            guard case .cmdSubmit(let submit) = header.body else { return }
            let length = min(Int(submit.transferBufferLength), room.count)
            var answer: [UInt8] = []
            if header.direction == .out {
                try stream.read(length, into: &room)
            } else {
                answer = Array((descriptor(header, submit.setup) ?? noise[...]).prefix(length))
            }
            let count = header.direction == .out ? length : answer.count
            let reply = PDUHeader(seqnum: header.seqnum, body: .retSubmit(RetSubmit(actualLength: Int32(count))))
            try stream.write(reply.encode() + answer)
        }
    }

    private static func descriptor(_ header: PDUHeader, _ setup: SetupPacket) -> ArraySlice<UInt8>? {
        guard header.endpoint == 0, setup.request == 6 else { return nil }
        return setup.value >> 8 == 1 ? BenchDevice.device[...] : BenchDevice.configuration[...]
    }
}

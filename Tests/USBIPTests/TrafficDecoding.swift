// SPDX-License-Identifier: Apache-2.0
import Testing
import USBIP

/// Takes recorded streams of the URB phase apart, and puts them together again.
enum TrafficDecoding {
    /// Takes a stream apart as a forwarder has to: the length of a reply's body follows from its command.
    static func decode(
        _ stream: PDUStream, _ recorded: [UInt8], by size: Int, of commands: [UInt32: PDUHeader] = [:],
        iso: Bool = false
    ) throws -> [PDUDecoderTests.Found] {
        var decoder = PDUDecoder(stream)
        let found = try PDUDecoderTests.decode(recorded, by: size, &decoder) { try length(of: $0, commands, iso) }
        try decoder.finish()
        return found
    }

    /// - Parameter iso: whether the device's endpoints, but for the control endpoint, are isochronous.
    static func length(
        of header: PDUHeader, _ commands: [UInt32: PDUHeader], _ iso: Bool
    ) throws -> PDUBodyLength {
        switch header.body {
        case .cmdSubmit(let submit):
            let isIsochronous = iso && header.endpoint != 0
            return try PDUFraming.body(of: submit, direction: header.direction, isIsochronous: isIsochronous)
        case .retSubmit(let reply):
            let command = try #require(commands[header.seqnum])
            guard case .cmdSubmit(let submit) = command.body else {
                Issue.record("a reply to \(command)")
                return .none
            }
            return try PDUFraming.body(
                of: reply, to: submit, direction: command.direction, isIsochronous: iso && command.endpoint != 0)
        case .cmdUnlink, .retUnlink: return .none
        }
    }

    static func headers(_ found: [PDUDecoderTests.Found]) -> [PDUHeader] {
        found.compactMap { if case .header(let header) = $0 { header } else { nil } }
    }

    static func payloads(_ found: [PDUDecoderTests.Found]) -> [[UInt8]] {
        found.compactMap { if case .payload(let payload) = $0 { payload } else { nil } }
    }

    static func descriptors(_ found: [PDUDecoderTests.Found]) -> [IsoPacketDescriptor] {
        found.compactMap { if case .descriptor(let descriptor) = $0 { descriptor } else { nil } }
    }

    /// The bytes that were taken apart.
    static func encode(_ found: [PDUDecoderTests.Found]) -> [UInt8] {
        found.flatMap { part -> [UInt8] in
            switch part {
            case .header(let header): header.encode()
            case .payload(let payload): payload
            case .descriptor(let descriptor): descriptor.encode()
            case .end: []
            }
        }
    }
}

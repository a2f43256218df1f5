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
        var found: [PDUDecoderTests.Found] = []
        for start in Swift.stride(from: 0, to: recorded.count, by: size) {
            let piece = Array(recorded[start..<min(start + size, recorded.count)])
            try piece.withUnsafeBytes { (raw: UnsafeRawBufferPointer) throws in
                var position = 0
                while let event = try decoder.next(raw, from: &position) {
                    switch event {
                    case .header(let header):
                        found.append(.header(header))
                        try decoder.expect(try length(of: header, commands, iso))
                    case .payload(let range):
                        if case .payload(let before) = found.last {
                            found[found.count - 1] = .payload(before + piece[range])
                        } else {
                            found.append(.payload(Array(piece[range])))
                        }
                    case .isoDescriptor(let descriptor): found.append(.descriptor(descriptor))
                    case .end: found.append(.end)
                    }
                }
                #expect(position == raw.count)
            }
        }
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

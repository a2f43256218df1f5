// SPDX-License-Identifier: Apache-2.0
import USBIP

/// Streams of bytes through the decoders, once at a time and once in pieces: both must come to the same, and take the
/// same bytes.
func fuzzDecoders(_ input: inout Input) {
    let kind = input.byte()
    let cuts = input.bytes(8)
    let bytes = input.rest()
    switch kind % 5 {
    case 0: compare(bytes, cuts, RequestDecoder.init)
    case 1: compare(bytes, cuts) { ImportReplyDecoder() }
    case 2: compare(bytes, cuts, DeviceListDecoder.init)
    case 3: comparePDUs(bytes, cuts, .commands)
    default: comparePDUs(bytes, cuts, .replies)
    }
}

/// The sizes of the pieces that a stream comes in: what the input says, again and again.
private struct Pieces: Sequence, IteratorProtocol {
    let cuts: [UInt8]
    var left: Int
    var turn = 0

    mutating func next() -> Int? {
        guard left > 0 else { return nil }
        let wanted = cuts.isEmpty ? left : 1 + Int(cuts[turn % cuts.count])
        turn += 1
        left -= Swift.min(wanted, left)
        return wanted
    }
}

private func compare<D: StreamDecoder>(_ bytes: [UInt8], _ cuts: [UInt8], _ make: () -> D) {
    let whole = outcome(bytes, [], make())
    let cut = outcome(bytes, cuts, make())
    must(whole == cut, "in pieces \(cuts): \(cut), at once: \(whole)")
}

private func outcome<D: StreamDecoder>(_ bytes: [UInt8], _ cuts: [UInt8], _ decoder: D) -> String {
    var decoder = decoder
    var taken = 0
    do throws(USBIPError) {
        for size in Pieces(cuts: cuts, left: bytes.count) {
            let piece = Array(bytes[taken..<min(taken + size, bytes.count)])
            let result = withExactly(piece) { room in
                Result { () throws(USBIPError) in try decoder.feed(UnsafeRawBufferPointer(room)) }
            }
            let count = try result.get()
            must(count >= 0 && count <= piece.count, "took \(count) of \(piece.count) bytes")
            must(count == piece.count || decoder.isFinished, "left bytes and is not at its end")
            taken += count
            if count < piece.count { break }
        }
        try decoder.finish()
    } catch {
        must(!error.sentence.isEmpty, "an error without words")
        return "\(devices(decoder)) \(error)"
    }
    return "\(devices(decoder)) \(decoder.result) \(taken)"
}

extension StreamDecoder {
    fileprivate var result: String {
        switch self {
        case let request as RequestDecoder: "\(String(describing: request.request))"
        case let reply as ImportReplyDecoder: "\(String(describing: reply.outcome))"
        default: "\(isFinished)"
        }
    }
}

/// What a list has given, also before an error.
private func devices<D: StreamDecoder>(_ decoder: D) -> String {
    guard var list = decoder as? DeviceListDecoder else { return "" }
    var text = ""
    while let device = list.next() {
        text += "\(device)"
        must(device.interfaces.count == Int(device.record.interfaces), "interfaces are missing")
    }
    return text
}

private func comparePDUs(_ bytes: [UInt8], _ cuts: [UInt8], _ stream: PDUStream) {
    let whole = events(bytes, [], stream)
    let cut = events(bytes, cuts, stream)
    must(whole == cut, "in pieces \(cuts): \(cut.suffix(300)), at once: \(whole.suffix(300))")
}

/// Bodies are as long as their headers say, by some rule: the decoder must follow whatever it is told.
private func events(_ bytes: [UInt8], _ cuts: [UInt8], _ stream: PDUStream) -> String {
    var decoder = PDUDecoder(stream)
    var text = ""
    var payload = 0
    var start = 0
    do throws(USBIPError) {
        for size in Pieces(cuts: cuts, left: bytes.count) {
            let piece = Array(bytes[start..<min(start + size, bytes.count)])
            let result = withExactly(piece) { room in
                Result { () throws(USBIPError) in
                    try take(UnsafeRawBufferPointer(room), &decoder, &text, &payload)
                }
            }
            try result.get()
            start += piece.count
        }
        try decoder.finish()
    } catch {
        must(!error.sentence.isEmpty, "an error without words")
        return text + "\(payload) \(error)"
    }
    return text
}

private func take(
    _ room: UnsafeRawBufferPointer, _ decoder: inout PDUDecoder, _ text: inout String, _ payload: inout Int
) throws(USBIPError) {
    var position = 0
    while let event = try decoder.next(room, from: &position) {
        switch event {
        case .header(let header):
            text += header.encode().map { String($0, radix: 16) }.joined()
            let again = try? PDUHeader(decoding: header.encode())
            must(again == header, "a header that is encoded becomes another: \(header)")
            switch header.body {
            case .cmdSubmit(let submit):
                try decoder.expect(
                    PDUFraming.body(
                        of: submit, direction: header.direction, isIsochronous: header.endpoint & 1 != 0, limit: 4096))
            case .retSubmit(let reply):
                let packets = Int32(header.seqnum & 3)
                let request = CmdSubmit(transferBufferLength: 4096, numberOfPackets: packets)
                try decoder.expect(
                    PDUFraming.body(
                        of: reply, to: request, direction: header.seqnum & 4 != 0 ? .in : .out,
                        isIsochronous: packets > 0))
            default: try decoder.expect(.none)
            }
        case .payload(let range):
            must(!range.isEmpty && range.upperBound <= room.count, "payload \(range) of \(room.count) bytes")
            payload += range.count
        case .isoDescriptor(let descriptor):
            text += "\(descriptor.offset),\(descriptor.length),\(descriptor.actualLength),\(descriptor.status) "
        case .end:
            text += " \(payload)."
            payload = 0
        }
        must(position <= room.count, "position \(position) of \(room.count)")
    }
    must(position == room.count, "bytes are left behind")
}

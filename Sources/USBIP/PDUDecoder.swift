// SPDX-License-Identifier: Apache-2.0

/// Takes one stream of the URB phase apart, in whatever pieces it comes. It never holds more than 48 bytes.
///
/// How long a body is cannot be seen from the stream alone (see `PDUFraming`), so the decoder stops behind every
/// header until `expect` is called:
///
///     while let event = try decoder.next(bytes, from: &position) {
///         switch event {
///         case .header(let header): try decoder.expect(lengthOfBody(header))
///         case .payload(let range): pass(bytes[range])
///         …
///         }
///     }
///
/// After an error of `next` or `expect` every call throws the same error: where the next PDU would begin is not known.
public struct PDUDecoder: Sendable {
    private enum Step: Sendable {
        case header
        case waiting
        case body(PDUBodyLength)
    }

    private let stream: PDUStream
    private var step = Step.header
    private var collector = PartCollector(.pduHeader)
    private var failure: USBIPError?

    /// - Parameter stream: which PDUs may come.
    public init(_ stream: PDUStream) { self.stream = stream }

    /// Whether the decoder stands behind a header, and wants to be told how long the body is.
    public var isWaiting: Bool { if case .waiting = step { true } else { false } }

    /// Finds the next event in the bytes from `position` on, and moves `position` behind what it took.
    /// - Returns: nil when all bytes are taken and the event is not complete, or while `expect` is due.
    /// - Throws: `unexpectedCommand`, and what `PDUHeader` throws.
    public mutating func next(
        _ untrustedBytes: UnsafeRawBufferPointer, from position: inout Int
    ) throws(USBIPError) -> PDUEvent? {
        if let failure { throw failure }
        switch step {
        case .header:
            collector.take(untrustedBytes, from: &position)
            guard collector.isComplete else { return nil }
            do throws(USBIPError) { return .header(try header()) } catch {
                failure = error
                throw error
            }
        case .waiting: return nil
        case .body(let left): return try body(left, untrustedBytes, &position)
        }
    }

    /// Tells how long the body behind the header is that `next` gave last; `.none` is a body too.
    /// - Throws: `outOfTurn` unless `isWaiting`, and for lengths that no PDU can have.
    public mutating func expect(_ length: PDUBodyLength) throws(USBIPError) {
        if let failure { throw failure }
        let isPossible =
            length.payload >= 0 && length.payload <= Int(Int32.max) && length.isoDescriptors >= 0
            && length.isoDescriptors <= PDUFraming.packetLimit
        guard isWaiting, isPossible else {
            failure = .outOfTurn
            throw .outOfTurn
        }
        collector.restart(.isoPacketDescriptor)
        step = .body(length)
    }

    /// The same with the numbers.
    public mutating func expect(payload: Int, isoDescriptors: Int) throws(USBIPError) {
        try expect(PDUBodyLength(payload: payload, isoDescriptors: isoDescriptors))
    }

    /// To be called at the stream's end.
    /// - Throws: `ended` or `endedInBody` inside a PDU, `outOfTurn` while `expect` is due, or the error that came
    ///   before. Between two PDUs a stream may end.
    public func finish() throws(USBIPError) {
        if let failure { throw failure }
        switch step {
        case .header:
            if collector.isPartial { throw .ended(.pduHeader, got: collector.untrustedBytes.count) }
        case .waiting: throw .outOfTurn
        case .body(let left):
            let descriptors = left.isoDescriptors * IsoPacketDescriptor.size - collector.untrustedBytes.count
            let missing = left.payload + descriptors
            if missing > 0 { throw .endedInBody(missing: missing) }
        }
    }

    private mutating func header() throws(USBIPError) -> PDUHeader {
        let header = try PDUHeader(decoding: collector.untrustedBytes)
        guard header.command.stream == stream else { throw .unexpectedCommand(header.command) }
        step = .waiting
        return header
    }

    private mutating func body(
        _ left: PDUBodyLength, _ untrustedBytes: UnsafeRawBufferPointer, _ position: inout Int
    ) throws(USBIPError) -> PDUEvent? {
        var left = left
        if left.payload > 0 {
            let count = min(left.payload, untrustedBytes.count - position)
            guard count > 0 else { return nil }
            position += count
            left.payload -= count
            step = .body(left)
            return .payload((position - count)..<position)
        }
        guard left.isoDescriptors > 0 else {
            collector.restart(.pduHeader)
            step = .header
            return .end
        }
        collector.take(untrustedBytes, from: &position)
        guard collector.isComplete else { return nil }
        let descriptor = try IsoPacketDescriptor(decoding: collector.untrustedBytes)
        collector.restart(.isoPacketDescriptor)
        left.isoDescriptors -= 1
        step = .body(left)
        return .isoDescriptor(descriptor)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What a `PDUDecoder` finds, in the order in which it comes: one header, pieces of payload, descriptors, one end.
public enum PDUEvent: Equatable, Sendable {
    /// A PDU begins. The decoder goes on when it has been told how long the body is.
    case header(PDUHeader)
    /// Payload: these of the bytes that were given. It is never empty and never copied.
    case payload(Range<Int>)
    case isoDescriptor(IsoPacketDescriptor)
    /// The PDU is complete; what follows is another.
    case end
}

// SPDX-License-Identifier: Apache-2.0

/// `struct usbip_iso_packet_descriptor` of drivers/usb/usbip/usbip_common.h: one packet of an isochronous URB.
///
/// 16 bytes: offset, length, actual_length, status (4 each). The numbers are what came; nothing is checked.
public struct IsoPacketDescriptor: Equatable, Sendable {
    /// Bytes on the wire.
    public static let size = 16

    /// Where the packet is in the transfer's buffer, in bytes. On the wire there are no gaps between packets.
    public var offset: UInt32
    /// Bytes that the packet may have.
    public var length: UInt32
    /// Bytes that it had.
    public var actualLength: UInt32
    /// 0 or a negative errno of Linux.
    public var status: Int32

    public init(offset: UInt32, length: UInt32, actualLength: UInt32, status: Int32) {
        self.offset = offset
        self.length = length
        self.actualLength = actualLength
        self.status = status
    }

    /// Reads exactly `size` bytes.
    /// - Throws: `wrongSize`.
    public init(decoding untrustedBytes: [UInt8]) throws(USBIPError) {
        var reader = try FieldReader(untrustedBytes, .isoPacketDescriptor)
        offset = reader.number32()
        length = reader.number32()
        actualLength = reader.number32()
        status = reader.signed32()
    }

    /// The descriptor's 16 bytes.
    public func encode() -> [UInt8] {
        var writer = FieldWriter()
        for number in [offset, length, actualLength] { writer.put(number) }
        writer.put(status)
        return writer.bytes
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The setup packet of a control transfer: 8 bytes, little-endian unlike the rest (USB 2.0, section 9.3).
public struct SetupPacket: Equatable, Sendable {
    /// Bytes on the wire.
    public static let size = 8

    /// bmRequestType.
    public var requestType: UInt8
    /// bRequest.
    public var request: UInt8
    /// wValue.
    public var value: UInt16
    /// wIndex.
    public var index: UInt16
    /// wLength: bytes of the data stage.
    public var length: UInt16

    /// Without arguments: all zero, as for a transfer that is no control transfer.
    public init(requestType: UInt8 = 0, request: UInt8 = 0, value: UInt16 = 0, index: UInt16 = 0, length: UInt16 = 0) {
        self.requestType = requestType
        self.request = request
        self.value = value
        self.index = index
        self.length = length
    }

    /// Which way the data stage goes, by the highest bit of bmRequestType. The header's direction must be the same.
    public var direction: TransferDirection { requestType & 0x80 == 0 ? .out : .in }

    /// The packet's 8 bytes.
    public func encode() -> [UInt8] {
        var writer = FieldWriter()
        writer.put(requestType)
        writer.put(request)
        for number in [value, index, length] { writer.put(number.byteSwapped) }
        return writer.bytes
    }

    init(_ reader: inout FieldReader) {
        requestType = reader.number8()
        request = reader.number8()
        value = reader.number16().byteSwapped
        index = reader.number16().byteSwapped
        length = reader.number16().byteSwapped
    }
}

// SPDX-License-Identifier: Apache-2.0

/// `struct usbip_usb_interface` of tools/usb/usbip/libsrc/usbip_common.h: what an interface is.
///
/// 4 bytes: bInterfaceClass, bInterfaceSubClass, bInterfaceProtocol, and one of padding, sent as 0 and not read.
public struct InterfaceRecord: Equatable, Sendable {
    /// Bytes on the wire.
    public static let size = 4

    public var interfaceClass: UInt8
    public var interfaceSubClass: UInt8
    public var interfaceProtocol: UInt8

    public init(interfaceClass: UInt8, interfaceSubClass: UInt8, interfaceProtocol: UInt8) {
        self.interfaceClass = interfaceClass
        self.interfaceSubClass = interfaceSubClass
        self.interfaceProtocol = interfaceProtocol
    }

    /// Reads exactly `size` bytes.
    /// - Throws: `wrongSize`.
    public init(decoding untrustedBytes: [UInt8]) throws(USBIPError) {
        var reader = try FieldReader(untrustedBytes, .interfaceRecord)
        interfaceClass = reader.number8()
        interfaceSubClass = reader.number8()
        interfaceProtocol = reader.number8()
    }

    /// The record's 4 bytes.
    public func encode() -> [UInt8] { [interfaceClass, interfaceSubClass, interfaceProtocol, 0] }
}

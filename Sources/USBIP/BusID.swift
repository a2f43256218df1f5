// SPDX-License-Identifier: Apache-2.0

/// The name of a USB device on a Linux bus: bus, `-`, and the ports on the way to it with dots between them,
/// for instance `3-2.1`. It is what `%d-%s` of drivers/usb/core/usb.c (`usb_alloc_dev`) writes: decimal numbers
/// above 0 without leading zeros, 3 to 31 bytes. A root hub (`usb1`) is none; it cannot be exported.
///
/// A value is safe in a path below /sys and on a terminal, wherever it came from.
public struct BusID: Equatable, Hashable, Sendable {
    /// Bytes on the wire, with at least one NUL.
    public static let size = USBIPProtocol.busIDSize

    private let bytes: [UInt8]

    @inline(never)
    public static func == (left: BusID, right: BusID) -> Bool { left.bytes == right.bytes }

    /// Nil when the text is no bus id.
    @inline(never)
    public init?(_ text: String) { self.init(validating: USBIP.bytes(of: text)[...]) }

    /// From a field of exactly 32 bytes. The text ends at its first NUL, which must be there; what is behind the
    /// NUL is not looked at, for the stock tools do not clear it. Nil when the text is no bus id.
    @inline(never)
    public init?(wire untrustedField: [UInt8]) {
        guard untrustedField.count == BusID.size else { return nil }
        guard let end = untrustedField.firstIndex(of: 0) else { return nil }
        self.init(validating: untrustedField[..<end])
    }

    @inline(never)
    private init?(validating untrustedText: ArraySlice<UInt8>) {
        guard untrustedText.count < BusID.size, BusID.isValid(untrustedText) else { return nil }
        bytes = Array(untrustedText)
    }

    /// The text, ASCII.
    public var text: String {
        @inline(never) get { String(decoding: bytes, as: UTF8.self) }
    }

    /// The 32 bytes of the field, filled up with NUL.
    @inline(never)
    public func encode() -> [UInt8] {
        var writer = FieldWriter()
        writer.put(bytes, filledTo: BusID.size)
        return writer.bytes
    }

    @inline(never)
    private static func isValid(_ text: ArraySlice<UInt8>) -> Bool {
        var separators = 0
        var isAtStart = true
        for byte in text {
            switch byte {
            case UInt8(ascii: "1")...UInt8(ascii: "9"):
                isAtStart = false
            case UInt8(ascii: "0") where !isAtStart: break
            case UInt8(ascii: separators == 0 ? "-" : ".") where !isAtStart:
                separators += 1
                isAtStart = true
            default: return false
            }
        }
        return separators > 0 && !isAtStart
    }
}

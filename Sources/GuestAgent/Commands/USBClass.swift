// SPDX-License-Identifier: Apache-2.0
import RingTransport

/// Names of USB classes (usb.org, "Defined Class Codes").
enum USBClass {
    /// `Mass Storage (08/06/50)`.
    static func title(_ code: UInt8, _ subCode: UInt8, _ protocolCode: UInt8) -> String {
        compose("\(name(code)) (\(twoDigits(code))/\(twoDigits(subCode))/\(twoDigits(protocolCode)))")
    }

    private static func twoDigits(_ value: UInt8) -> String {
        (value < 16 ? "0" : "") + digits(UInt64(value), radix: 16)
    }

    private static func name(_ code: UInt8) -> String {
        switch code {
        case 0x00: return "defined at interface level"
        case 0x01: return "Audio"
        case 0x02: return "Communications"
        case 0x03: return "Human Interface Device"
        case 0x06: return "Image"
        case 0x07: return "Printer"
        case 0x08: return "Mass Storage"
        case 0x09: return "Hub"
        case 0x0A: return "CDC Data"
        case 0x0B: return "Smart Card"
        case 0x0E: return "Video"
        case 0xE0: return "Wireless"
        case 0xEF: return "Miscellaneous"
        case 0xFE: return "Application Specific"
        case 0xFF: return "Vendor Specific"
        default: return "unknown class"
        }
    }
}

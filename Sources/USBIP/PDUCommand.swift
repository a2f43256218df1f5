// SPDX-License-Identifier: Apache-2.0

/// What a PDU of the URB phase is: USBIP_CMD_* and USBIP_RET_* of drivers/usb/usbip/usbip_common.h.
public enum PDUCommand: UInt32, Equatable, Sendable {
    /// USBIP_CMD_SUBMIT, from the importer.
    case cmdSubmit = 1
    /// USBIP_CMD_UNLINK, from the importer.
    case cmdUnlink = 2
    /// USBIP_RET_SUBMIT, from the exporter.
    case retSubmit = 3
    /// USBIP_RET_UNLINK, from the exporter.
    case retUnlink = 4

    /// Which of a connection's two streams it belongs to.
    public var stream: PDUStream { rawValue <= PDUCommand.cmdUnlink.rawValue ? .commands : .replies }

    /// The name in the protocol's document.
    var name: String {
        switch self {
        case .cmdSubmit: "USBIP_CMD_SUBMIT"
        case .cmdUnlink: "USBIP_CMD_UNLINK"
        case .retSubmit: "USBIP_RET_SUBMIT"
        case .retUnlink: "USBIP_RET_UNLINK"
        }
    }
}

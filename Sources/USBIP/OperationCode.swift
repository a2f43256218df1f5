// SPDX-License-Identifier: Apache-2.0

/// What an operation's header announces: OP_REQ_* and OP_REP_* of tools/usb/usbip/src/usbip_network.h.
///
/// The codes that nothing implements (DEVINFO, CRYPKEY, EXPORT, UNEXPORT) are not here.
public enum OperationCode: UInt16, Equatable, Sendable {
    /// OP_REQ_IMPORT.
    case requestImport = 0x8003
    /// OP_REP_IMPORT.
    case replyImport = 0x0003
    /// OP_REQ_DEVLIST.
    case requestDeviceList = 0x8005
    /// OP_REP_DEVLIST.
    case replyDeviceList = 0x0005
}

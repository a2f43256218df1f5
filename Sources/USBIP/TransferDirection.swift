// SPDX-License-Identifier: Apache-2.0

/// Which way the data of an URB goes: USBIP_DIR_* of drivers/usb/usbip/usbip_common.h.
public enum TransferDirection: UInt32, Equatable, Sendable {
    /// USBIP_DIR_OUT: to the device. Replies carry it too, whatever their request had.
    case out = 0
    /// USBIP_DIR_IN: from the device.
    case `in` = 1
}

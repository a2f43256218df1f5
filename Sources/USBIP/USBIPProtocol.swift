// SPDX-License-Identifier: Apache-2.0

/// The numbers of USB/IP 1.1.1, and the bounds that this module sets on what a peer may announce.
///
/// Sources: Documentation/usb/usbip_protocol.rst for the layouts, tools/usb/usbip/src/usbip_network.h and
/// tools/usb/usbip/libsrc/usbip_common.h for the names. Everything on the wire is big-endian.
public enum USBIPProtocol {
    /// The protocol's version 1.1.1, binary coded decimal, as every `op_common` carries it.
    public static let version: UInt16 = 0x0111
    /// The TCP port of `usbipd`.
    public static let port: UInt16 = 3240
    /// SYSFS_BUS_ID_SIZE: bytes of a bus id on the wire, with its NUL.
    public static let busIDSize = 32
    /// SYSFS_PATH_MAX: bytes of a device's path on the wire, with its NUL.
    public static let pathSize = 256
    /// The most devices that a list may have. The protocol knows no bound; this one is ours.
    public static let deviceLimit = 1024
    /// The most interfaces of one device: USB_MAXINTERFACES of the kernel's include/linux/usb.h.
    public static let interfaceLimit = 32
}

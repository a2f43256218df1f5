// SPDX-License-Identifier: Apache-2.0
import USBIP

/// Structures written out from the field tables of Documentation/usb/usbip_protocol.rst, and what they mean.
enum Sample {
    static let busID = BusID("3-2")!
    static let path = "/sys/devices/pci0000:00/0000:00:1d.1/usb3/3-2"

    static let record = DeviceRecord(
        path: path, busID: busID, busnum: 3, devnum: 2, speed: .super, vendor: 0x1D6B, product: 0x0203,
        release: 0x0504, deviceClass: 0x06, deviceSubClass: 0x07, deviceProtocol: 0x08, configurationValue: 0x01,
        configurations: 0x09, interfaces: 0x02)

    /// `path`: 45 bytes, and NUL up to 256.
    static let pathField =
        bytes(
            """
            2F 73 79 73 2F 64 65 76 69 63 65 73 2F 70 63 69 30 30 30 30 3A 30 30 2F
            30 30 30 30 3A 30 30 3A 31 64 2E 31 2F 75 73 62 33 2F 33 2D 32
            """) + zeros(256 - 45)

    static let busIDField = bytes("33 2D 32") + zeros(29)

    static let recordBytes =
        pathField + busIDField
        + bytes(
            """
            00 00 00 03
            00 00 00 02
            00 00 00 05
            1D 6B
            02 03
            05 04
            06
            07
            08
            01
            09
            02
            """)

    static let interfaces = [
        InterfaceRecord(interfaceClass: 0x08, interfaceSubClass: 0x06, interfaceProtocol: 0x50),
        InterfaceRecord(interfaceClass: 0x03, interfaceSubClass: 0x01, interfaceProtocol: 0x02),
    ]
    static let interfaceBytes = bytes("08 06 50 00  03 01 02 00")

    static let listed = ListedDevice(record: record, interfaces: interfaces)

    /// A device without an interface, as one that has no configuration set.
    static let bare: ListedDevice = {
        var bare = record
        bare.busID = BusID("1-1.4.2")!
        bare.interfaces = 0
        return ListedDevice(record: bare, interfaces: [])
    }()
    static let bareBytes =
        recordBytes.replacing(at: 256, with: "31 2D 31 2E 34 2E 32").replacing(at: 311, with: "00")

    /// OP_REP_DEVLIST of three devices.
    static let list =
        bytes("01 11 00 05 00 00 00 00  00 00 00 03") + recordBytes + interfaceBytes + bareBytes + recordBytes
        + interfaceBytes
    static let listDevices = [listed, bare, listed]

    static let requestList = bytes("01 11 80 05 00 00 00 00")
    static let requestImport = bytes("01 11 80 03 00 00 00 00") + busIDField
    static let replyImport = bytes("01 11 00 03 00 00 00 00") + recordBytes
}

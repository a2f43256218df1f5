// SPDX-License-Identifier: Apache-2.0
import USBIP

/// A disk-like device: one interface with a bulk endpoint in each direction.
enum BenchDevice {
    static let busID = BusID("1-1")
    static let vendor: UInt16 = 0x1209
    static let product: UInt16 = 0x0001
    static let bulkIn: UInt32 = 1
    static let bulkOut: UInt32 = 2

    /// Table 9-8 of the USB specification, revision 2.0.
    static let device: [UInt8] = [18, 1, 0, 2, 0, 0, 0, 64, 0x09, 0x12, 0x01, 0, 0, 1, 0, 0, 0, 1]
    /// Tables 9-10, 9-12 and 9-13: a configuration, its interface, two endpoints.
    static let configuration: [UInt8] =
        [9, 2, 32, 0, 1, 1, 0, 0x80, 50] + [9, 4, 0, 0, 2, 8, 6, 0x50, 0]
        + [7, 5, 0x81, 2, 0, 2, 0] + [7, 5, 0x02, 2, 0, 2, 0]

    static func record(_ busID: BusID) -> DeviceRecord {
        DeviceRecord(
            path: "/sys/devices/usb1/1-1", busID: busID, busnum: 1, devnum: 2, speed: .high, vendor: vendor,
            product: product, release: 0x100, deviceClass: 0, deviceSubClass: 0, deviceProtocol: 0,
            configurationValue: 1, configurations: 1, interfaces: 0)
    }
}

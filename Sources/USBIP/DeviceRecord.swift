// SPDX-License-Identifier: Apache-2.0

/// `struct usbip_usb_device` of tools/usb/usbip/libsrc/usbip_common.h: what an exporter says of a device.
///
/// 312 bytes: path (256), busid (32), busnum, devnum, speed (4 each), idVendor, idProduct, bcdDevice (2 each),
/// bDeviceClass, bDeviceSubClass, bDeviceProtocol, bConfigurationValue, bNumConfigurations, bNumInterfaces (1 each).
public struct DeviceRecord: Equatable, Sendable {
    /// Bytes on the wire.
    public static let size = 312

    private var pathBytes: [UInt8]
    public var busID: BusID
    /// The bus's number on the exporter's side.
    public var busnum: UInt32
    /// The device's address on that bus.
    public var devnum: UInt32
    public var speed: USBSpeed
    /// idVendor.
    public var vendor: UInt16
    /// idProduct.
    public var product: UInt16
    /// bcdDevice.
    public var release: UInt16
    public var deviceClass: UInt8
    public var deviceSubClass: UInt8
    public var deviceProtocol: UInt8
    /// bConfigurationValue: the configuration that is set; 0 is none.
    public var configurationValue: UInt8
    /// bNumConfigurations.
    public var configurations: UInt8
    /// bNumInterfaces: how many interfaces the set configuration has.
    public var interfaces: UInt8

    /// Where the device is below /sys on the exporter's side: printable ASCII of at most 255 bytes. Any other byte
    /// becomes `?`, so that a peer can write no escape sequence on a terminal; what is too long is cut off.
    public var path: String {
        @inline(never) get { String(decoding: pathBytes, as: UTF8.self) }
        set { pathBytes = DeviceRecord.bounded(bytes(of: newValue)[...]) }
    }

    /// `busnum << 16 | devnum`: what names the device in the URB phase and in `attach` of `vhci_hcd`.
    public var devid: UInt32 { busnum << 16 | devnum }

    @inline(never)
    public init(
        path: String, busID: BusID, busnum: UInt32, devnum: UInt32, speed: USBSpeed, vendor: UInt16, product: UInt16,
        release: UInt16, deviceClass: UInt8, deviceSubClass: UInt8, deviceProtocol: UInt8, configurationValue: UInt8,
        configurations: UInt8, interfaces: UInt8
    ) {
        pathBytes = DeviceRecord.bounded(bytes(of: path)[...])
        self.busID = busID
        self.busnum = busnum
        self.devnum = devnum
        self.speed = speed
        self.vendor = vendor
        self.product = product
        self.release = release
        self.deviceClass = deviceClass
        self.deviceSubClass = deviceSubClass
        self.deviceProtocol = deviceProtocol
        self.configurationValue = configurationValue
        self.configurations = configurations
        self.interfaces = interfaces
    }

    /// Reads exactly `size` bytes.
    /// - Throws: `wrongSize`, `badBusID`, `deviceNumbers`, `unknownSpeed`, `tooManyInterfaces`.
    @inline(never)
    public init(decoding untrustedBytes: [UInt8]) throws(USBIPError) {
        var reader = try FieldReader(untrustedBytes, .deviceRecord)
        let field = reader.bytes(USBIPProtocol.pathSize)
        pathBytes = DeviceRecord.bounded(field[..<(field.firstIndex(of: 0) ?? field.endIndex)])
        busID = try reader.busID()
        busnum = reader.number32()
        devnum = reader.number32()
        guard busnum <= 0xFFFF, devnum <= 0xFFFF else { throw .deviceNumbers(busnum: busnum, devnum: devnum) }
        let speedNumber = reader.number32()
        guard let speed = USBSpeed(rawValue: speedNumber) else { throw .unknownSpeed(speedNumber) }
        self.speed = speed
        vendor = reader.number16()
        product = reader.number16()
        release = reader.number16()
        deviceClass = reader.number8()
        deviceSubClass = reader.number8()
        deviceProtocol = reader.number8()
        configurationValue = reader.number8()
        configurations = reader.number8()
        interfaces = reader.number8()
        guard interfaces <= UInt8(USBIPProtocol.interfaceLimit) else { throw .tooManyInterfaces(interfaces) }
    }

    /// The record's 312 bytes.
    @inline(never)
    public func encode() -> [UInt8] {
        var writer = FieldWriter()
        writer.put(pathBytes, filledTo: USBIPProtocol.pathSize)
        writer.put(busID.encode())
        for number in [busnum, devnum, speed.rawValue] { writer.put(number) }
        for number in [vendor, product, release] { writer.put(number) }
        writer.put([deviceClass, deviceSubClass, deviceProtocol, configurationValue, configurations, interfaces])
        return writer.bytes
    }

    @inline(never)
    private static func bounded(_ path: ArraySlice<UInt8>) -> [UInt8] {
        printable(path.prefix(USBIPProtocol.pathSize - 1))
    }
}

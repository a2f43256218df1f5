// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// A USB device of this guest as sysfs shows it (Documentation/ABI/testing/sysfs-bus-usb).
final class LocalDevice {
    let record: DeviceRecord
    let interfaces: [InterfaceRecord]
    let manufacturer: String
    let product: String
    let serial: String
    /// The driver of the device itself: `usb`, `usbip-host`; nil when none has it.
    let driver: String?

    var busID: BusID { record.busID }
    var isHub: Bool { record.deviceClass == 9 }
    var isExported: Bool { driver.map { $0 == "usbip-host" } ?? false }
    /// It is itself imported: a device of `vhci_hcd` cannot be exported again.
    var isImported: Bool {
        record.path.parts(between: "/").contains { $0.rest(after: "vhci_hcd") != nil }
    }

    private init(_ record: DeviceRecord, _ interfaces: [InterfaceRecord], _ names: [String], driver: String?) {
        self.record = record
        self.interfaces = interfaces
        manufacturer = names[0]
        product = names[1]
        serial = names[2]
        self.driver = driver
    }

    /// - Parameter named: whether to read the device's own names and serial number. Only those wait for its lock.
    /// - Returns: nil when there is no such device (any more).
    static func read(_ busID: BusID, _ tree: SysfsTree = SysfsTree(), named: Bool = true) -> LocalDevice? {
        let name = busID.text
        guard let busnum = tree.number(name, "busnum"), let devnum = tree.number(name, "devnum"),
            let vendor = tree.number(name, "idVendor", radix: 16),
            let product = tree.number(name, "idProduct", radix: 16)
        else { return nil }
        func byte(_ attribute: String, radix: UInt64 = 16) -> UInt8 {
            UInt8(truncatingIfNeeded: tree.number(name, attribute, radix: radix) ?? 0)
        }
        let place = FileSystem.absolute(compose("\(tree.devices)/\(name)")) ?? name
        // Not from bConfigurationValue and bNumInterfaces, which wait for the device's lock.
        let interfaces = interfaceNames(of: name, tree)
        let configuration = interfaces.first.flatMap { $0.cut(at: ":")?.behind.head(before: ".") } ?? "0"
        let record = DeviceRecord(
            path: place, busID: busID, busnum: busnum, devnum: devnum,
            speed: tree.attribute(name, "speed").flatMap { USBSpeed(sysfs: $0) } ?? .unknown,
            vendor: UInt16(truncatingIfNeeded: vendor), product: UInt16(truncatingIfNeeded: product),
            release: UInt16(truncatingIfNeeded: tree.number(name, "bcdDevice", radix: 16) ?? 0),
            deviceClass: byte("bDeviceClass"), deviceSubClass: byte("bDeviceSubClass"),
            deviceProtocol: byte("bDeviceProtocol"),
            configurationValue: UInt8(truncatingIfNeeded: unsigned(configuration) ?? 0),
            configurations: byte("bNumConfigurations", radix: 10),
            interfaces: UInt8(truncatingIfNeeded: interfaces.count))
        return LocalDevice(
            record, interfaces.map { interface($0, tree) },
            ["manufacturer", "product", "serial"].map { named ? tree.attribute(name, $0) ?? "" : "" },
            driver: SysfsTree.linkName(tree.path(name, "driver")))
    }

    /// Names of a device's interfaces, such as `1-1:1.0`, in order; none while it is not configured.
    static func interfaceNames(of device: String, _ tree: SysfsTree) -> [String] {
        let names = (SysfsFile.list(compose("\(tree.devices)/\(device)")) ?? [])
        return names.filter { $0.rest(after: device + ":") != nil }.inOrder
    }

    private static func interface(_ name: String, _ tree: SysfsTree) -> InterfaceRecord {
        func byte(_ attribute: String) -> UInt8 {
            UInt8(truncatingIfNeeded: tree.number(name, attribute, radix: 16) ?? 0)
        }
        return InterfaceRecord(
            interfaceClass: byte("bInterfaceClass"), interfaceSubClass: byte("bInterfaceSubClass"),
            interfaceProtocol: byte("bInterfaceProtocol"))
    }

    /// Bus ids of all devices, in order; interfaces and root hubs are none.
    static func busIDs(_ tree: SysfsTree = SysfsTree()) -> [BusID] {
        (SysfsFile.list(tree.devices) ?? []).inOrder.compactMap { BusID($0) }
    }

    /// Every device that could be exported from here: without root hubs, and without those that are imported, whose
    /// locks may be held for as long as their peer likes.
    static func own(_ tree: SysfsTree = SysfsTree()) -> [LocalDevice] {
        busIDs(tree).filter { busID in read(busID, tree, named: false).map { !$0.isImported } ?? false }
            .compactMap { read($0, tree) }
    }

    /// Why a policy keeps the device here, by what the interfaces of all its configurations and settings say that they
    /// are; nil when it does not. Takes no lock.
    @inline(never)
    func refusal(_ policy: Policy, _ tree: SysfsTree) -> String? {
        guard case .success(let bytes) = FileSystem.bytes(tree.path(busID.text, "descriptors")),
            let interfaces = InterfaceDescriptors.all(interfaces, bytes)
        else { return "its descriptors cannot be read, and the policy asks for them" }
        return policy.refusal(exports: true, record, interfaces, serial: serial)
    }

    /// What the wire's device list says of it.
    var listed: ListedDevice { ListedDevice(record: record, interfaces: interfaces) }

    /// Names that the device gives itself, or what `usbip` prints where it knows none.
    var title: String {
        compose(
            "\(manufacturer.isEmpty ? "unknown vendor" : visible(manufacturer)) : "
                + "\(product.isEmpty ? "unknown product" : visible(product)) (\(record.identity))")
    }
}

/// A device's own words, with `?` for what would be a command to a terminal: the control characters of ASCII and
/// of Unicode's second row (C2 80 to C2 9F).
@inline(never)
private func visible(_ untrustedText: String) -> String {
    var bytes = untrustedText.copyBytes()
    for i in bytes.indices {
        let isSecondRow = bytes[i] == 0xC2 && i + 1 < bytes.count && bytes[i + 1] < 0xA0
        if isSecondRow { bytes[i + 1] = UInt8(ascii: "?") }
        if isSecondRow || bytes[i] < 0x20 || bytes[i] == 0x7F { bytes[i] = UInt8(ascii: "?") }
    }
    return String(bytes: bytes[...])
}

extension DeviceRecord {
    /// `VVVV:PPPP`.
    var identity: String { compose("\(fourDigits(vendor)):\(fourDigits(product))") }
}

/// Four hexadecimal digits.
func fourDigits(_ value: UInt16) -> String {
    let text = digits(UInt64(value), radix: 16)
    return String(bytes: [UInt8](repeating: 0x30, count: 4 - text.byteCount)[...]) + text
}

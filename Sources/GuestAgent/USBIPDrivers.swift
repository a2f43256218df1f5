// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// What sysfs says of the kernel's USB/IP drivers. Only the sysfs worker calls this: the files may wait for
/// a device's lock.
enum USBIPDrivers {
    static let exporterDirectory = "/sys/bus/usb/drivers/usbip-host"
    static let importerStatus = "/sys/devices/platform/vhci_hcd.0/status"

    /// One line, such as `usbip-host: 1-1 in use; vhci_hcd: port 0 in use`.
    static func describe() -> String {
        exporter() + "; " + importer()
    }

    private static func exporter() -> String {
        guard let names = FileSystem.list(exporterDirectory) else { return "usbip-host: not loaded" }
        var devices: [String] = []
        for name in names {
            guard let status = FileSystem.read(compose("\(exporterDirectory)/\(name)/usbip_status")) else { continue }
            devices.append(compose("\(name) \(deviceState(status))"))
        }
        return "usbip-host: " + (devices.isEmpty ? "no device" : devices.joined(by: ", "))
    }

    /// Values of `usbip_status`: enum usbip_device_status in the kernel's drivers/usb/usbip/usbip_common.h.
    private static func deviceState(_ text: String) -> String {
        switch text.head(before: "\n") {
        case "1": return "free"
        case "2": return "in use"
        case "3": return "in error"
        default: return "in an unknown state"
        }
    }

    /// Lines `hub port sta spd dev sockfd local_busid`; states 4 free, 5 not addressed, 6 in use, 7 error.
    private static func importer() -> String {
        guard let table = FileSystem.read(importerStatus) else { return "vhci_hcd: not loaded" }
        var ports: [String] = []
        for line in table.parts(between: "\n").dropFirst() {
            let columns = line.words
            guard columns.count >= 3, let port = unsigned(columns[1]) else { continue }
            switch columns[2] {
            case "005": ports.append(compose("port \(port) attached, not addressed yet"))
            case "006": ports.append(compose("port \(port) in use"))
            case "007": ports.append(compose("port \(port) in error"))
            default: continue
            }
        }
        return "vhci_hcd: " + (ports.isEmpty ? "no port in use" : ports.joined(by: ", "))
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// What sysfs says of the kernel's USB/IP drivers. Only the sysfs worker calls this: the files may wait for
/// a device's lock.
enum USBIPDrivers {
    static let exporterDirectory = "/sys/bus/usb/drivers/usbip-host"

    /// One line, such as `usbip-host: 1-1 in use; vhci_hcd: port 0 in use`.
    static func describe() -> String {
        exporter() + "; " + importer()
    }

    private static func exporter() -> String {
        guard let names = SysfsFile.list(exporterDirectory) else { return "usbip-host: not loaded" }
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

    private static func importer() -> String {
        guard let ports = ImporterDriver().ports() else { return "vhci_hcd: not loaded" }
        let used = ports.compactMap { port -> String? in
            switch port.state {
            case .notAddressed: return compose("port \(port.number) attached, not addressed yet")
            case .used: return compose("port \(port.number) in use")
            case .inError: return compose("port \(port.number) in error")
            case .free: return nil
            }
        }
        return "vhci_hcd: " + (used.isEmpty ? "no port in use" : used.joined(by: ", "))
    }
}

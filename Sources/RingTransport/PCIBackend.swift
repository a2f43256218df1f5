// SPDX-License-Identifier: Apache-2.0
import CShim

/// A BAR of a PCI device through its sysfs resource file: no module is needed, and it is not cached.
enum PCIBackend {
    static func open(
        _ device: String, bar: Int, writeCombining: Bool, writable: Bool, sysfsRoot: String
    ) throws(TransportError) -> MappingSource {
        let address = try find(device, sysfsRoot: sysfsRoot)
        let directory = compose("\(sysfsRoot)/bus/pci/devices/\(address)")
        // Without an enabled device its memory reads as ones.
        enable(directory + "/enable")
        let path = compose("\(directory)/resource\(bar)\(writeCombining ? "_wc" : "")")
        let fd = path.withCString { cs_open($0, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC, 0) }
        guard fd >= 0 else {
            throw .system(.io, "opening \(path)", cs_errno(), "check bar=, and run as root")
        }
        var information = stat()
        guard fstat(fd, &information) == 0, information.st_size > 0 else {
            close(fd)
            throw TransportError(.badContent, "opening \(path): the BAR has no memory; correct bar=")
        }
        return MappingSource(
            descriptor: fd, size: Int(information.st_size), memoryType: writeCombining ? .writeCombining : .uncached)
    }

    private static func enable(_ path: String) {
        let fd = path.withCString { cs_open($0, O_WRONLY | O_CLOEXEC, 0) }
        guard fd >= 0 else { return }
        _ = "1".withCString { write(fd, $0, 1) }
        close(fd)
    }

    /// `0000:00:04.0` as it is, or the first device with this `vendor:device`.
    static func find(_ device: String, sysfsRoot: String) throws(TransportError) -> String {
        let directory = compose("\(sysfsRoot)/bus/pci/devices")
        let names = SysfsFile.names(directory).inOrder
        if names.contains(device) { return device }
        if let (vendor, model) = device.cut(at: ":"), let vendor = unsigned(vendor, radix: 16),
            let model = unsigned(model, radix: 16)
        {
            for name in names where identifier(compose("\(directory)/\(name)/vendor")) == vendor {
                if identifier(compose("\(directory)/\(name)/device")) == model { return name }
            }
        }
        throw TransportError(
            .noSuch,
            "looking for PCI device \(device): there is none; `pci:` takes an address as 0000:00:04.0 or "
                + "VENDOR:DEVICE as 1af4:1110")
    }

    private static func identifier(_ path: String) -> UInt64? {
        guard let digits = SysfsFile.line(path)?.rest(after: "0x") else { return nil }
        return unsigned(digits, radix: 16)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// `usbip_status` of an exported device: enum usbip_device_status, drivers/usb/usbip/usbip_common.h.
enum ExportState: UInt32 {
    case available = 1
    case used = 2
    case inError = 3
}

/// The kernel's `usbip-host`: takes a device from its driver and hands it to a stream socket.
///
/// Every call here may wait for the device's lock. -1 is never written to `usbip_sockfd`: it unlocks a mutex that
/// it did not take (drivers/usb/usbip/stub_dev.c). To let a device go, its stream is closed.
struct ExporterDriver {
    var tree = SysfsTree()
    var policy: Policy?

    var isLoaded: Bool { FileSystem.exists(tree.exporterDriver + "/match_busid") }

    @inline(never)
    func state(_ busID: BusID) -> ExportState? {
        tree.number(busID.text, "usbip_status").flatMap { ExportState(rawValue: $0) }
    }

    /// Takes the device away from the driver that has it.
    /// - Throws: 66 no such device, 69 a hub or an imported device, 77, 74.
    @inline(never)
    func bind(_ busID: BusID) throws(Diagnostic) {
        let device = try find(busID)
        if device.isExported { return }
        try refuse(device)
        try KernelModule.load("usbip-host") { isLoaded }
        let tried: Message = "exporting \(busID.text)"
        // No line end: the kernel would take it for a part of the name.
        let added = SysfsTree.write(tree.exporterDriver + "/match_busid", "add " + busID.text)
        guard added == 0 else { throw Diagnostic.system(tried, added, "run as root") }
        if device.driver != nil {
            let error = SysfsTree.write(tree.path(busID.text, "driver/unbind"), busID.text)
            guard error == 0 || error == ENODEV || error == ENOENT else {
                forget(busID)
                throw Diagnostic.system("\(tried.text): taking it from its driver", error, "run as root")
            }
        }
        let error = SysfsTree.write(tree.exporterDriver + "/bind", busID.text)
        // Somebody else may have bound it in the meantime: that is what was wanted.
        if error == 0 || SysfsTree.linkName(tree.path(busID.text, "driver")).map({ $0 == "usbip-host" }) ?? false {
            return
        }
        forget(busID)
        _ = SysfsTree.write(tree.root + "/bus/usb/drivers_probe", busID.text)
        throw Diagnostic.system(
            "\(tried.text): giving it to usbip-host", error, "see the kernel's log; the device has its own driver again"
        )
    }

    /// Gives the device back to its own driver. Its stream must have been closed before.
    /// - Throws: 66 no such device, or not exported; 69 still in use; 77, 74.
    @inline(never)
    func unbind(_ busID: BusID) throws(Diagnostic) {
        let device = try find(busID)
        guard device.isExported else {
            throw Diagnostic(
                .noSuch, "unexporting \(busID.text): it is not exported; `ringway list` shows what is")
        }
        // Unbinding a stub in use waits for its event worker, and killed there leaves it half torn down.
        if state(busID) == .used {
            throw Diagnostic(
                .unavailable,
                "unexporting \(busID.text): a connection still uses it; detach it on the other side, "
                    + "or stop the program that exports it")
        }
        let error = SysfsTree.write(tree.exporterDriver + "/unbind", busID.text)
        guard error == 0 || error == ENODEV else {
            throw Diagnostic.system("unexporting \(busID.text)", error, "run as root")
        }
        forget(busID)
        let probed = SysfsTree.write(tree.root + "/bus/usb/drivers_probe", busID.text)
        guard probed == 0 || probed == ENODEV || probed == EINVAL else {
            throw Diagnostic.system(
                "unexporting \(busID.text): giving it back to its driver", probed, "unplug it and plug it in again")
        }
    }

    /// A device that is plugged in there later is not taken by `usbip-host`.
    @inline(never)
    func forget(_ busID: BusID) {
        _ = SysfsTree.write(tree.exporterDriver + "/match_busid", "del " + busID.text)
    }

    /// Hands a connection to the kernel, which holds its own reference to the socket from then on.
    /// - Returns: 0 or errno.
    @inline(never)
    func connect(_ busID: BusID, socket: Int32) -> Int32 {
        SysfsTree.write(tree.path(busID.text, "usbip_sockfd"), compose("\(socket)\n"))
    }

    /// Every exported device.
    @inline(never)
    func devices() -> [LocalDevice] {
        LocalDevice.busIDs(tree).filter { state($0) != nil }.compactMap { LocalDevice.read($0, tree) }
    }

    @inline(never)
    private func find(_ busID: BusID) throws(Diagnostic) -> LocalDevice {
        if let device = LocalDevice.read(busID, tree) { return device }
        throw Diagnostic(.noSuch, "device \(busID.text): there is none with this bus id; `ringway list` shows all")
    }

    /// Why the policy keeps a device here; nil when it does not.
    func refusal(_ device: LocalDevice) -> String? {
        policy.flatMap { device.refusal($0, tree) }
    }

    /// What cannot be exported, and why.
    @inline(never)
    private func refuse(_ device: LocalDevice) throws(Diagnostic) {
        if let refusal = refusal(device) {
            throw Diagnostic(.notPermitted, "exporting \(device.busID.text): \(refusal)")
        }
        if device.isHub {
            throw Diagnostic(
                .unavailable,
                "exporting \(device.busID.text): it is a hub, and USB/IP carries none; export the devices behind it")
        }
        if device.isImported {
            throw Diagnostic(
                .unavailable,
                "exporting \(device.busID.text): it is itself imported through vhci_hcd; export it where it is "
                    + "plugged in"
            )
        }
    }
}

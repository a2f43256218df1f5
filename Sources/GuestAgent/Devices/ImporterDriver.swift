// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// One port of a virtual hub: a line of vhci's `status` (drivers/usb/usbip/vhci_sysfs.c).
final class ImporterPort {
    /// `VDEV_ST_…` of enum usbip_device_status.
    enum State: UInt32 {
        case free = 4
        /// Attached; SET_ADDRESS was not seen yet.
        case notAddressed = 5
        case used = 6
        case inError = 7
    }

    private static let widthWhenNotReady = 16

    let number: Int
    /// Which vhci_hcd.N it belongs to.
    let controller: Int
    let isSuperSpeed: Bool
    let state: State
    /// These mean something in state `used` only; otherwise the kernel prints zeros.
    let speed: USBSpeed
    let devid: UInt32
    /// The device's bus id in this guest, once the kernel has named it.
    let localBusID: BusID?

    /// - Parameter line: `hub port sta spd dev sockfd local_busid`.
    init?(_ line: String, controller: Int = 0) {
        let columns = line.words
        // A controller that is still being set up has a line of another width, in state 005 (status_show_not_ready).
        guard columns.count >= 6, columns[5].byteCount < Self.widthWhenNotReady,
            let number = unsigned(columns[1]), number < 65536,
            let state = unsigned(columns[2]).flatMap({ UInt32(exactly: $0) }).flatMap({ State(rawValue: $0) })
        else { return nil }
        self.number = Int(number)
        self.controller = controller
        self.state = state
        isSuperSpeed = columns[0] == "ss"
        speed = unsigned(columns[3]).flatMap { USBSpeed(rawValue: UInt32(truncatingIfNeeded: $0)) } ?? .unknown
        devid = UInt32(truncatingIfNeeded: unsigned(columns[4], radix: 16) ?? 0)
        localBusID = columns.count > 6 ? BusID(columns[6]) : nil
    }
}

/// The kernel's `vhci_hcd`: virtual hubs whose ports take a stream socket each.
struct ImporterDriver {
    var tree = SysfsTree()

    private var directory: String { tree.controllers + "/vhci_hcd.0" }

    var isLoaded: Bool { isSettled && FileSystem.exists(directory + "/status") }

    /// False while the module is being loaded or unloaded. `status` is there from the middle of its set-up on, and who
    /// reads it before the super-speed hub is there makes the kernel follow a null pointer (status_show_vhci in
    /// drivers/usb/usbip/vhci_sysfs.c). A driver that is built in has no such state, and was ready before any program;
    /// any other has it before it has a controller, so in this order no load can come in between.
    private var isSettled: Bool {
        @inline(never) get {
            guard FileSystem.exists(directory) else { return false }
            guard let state = FileSystem.read(tree.root + "/module/vhci_hcd/initstate") else { return true }
            return state == "live\n"
        }
    }

    /// Each controller has its ports when the driver has found it, the first one first.
    func load() throws(Diagnostic) {
        try KernelModule.load("vhci-hcd") { ports()?.isEmpty == false }
    }

    /// The ports of every controller; nil when the driver is not loaded.
    func ports() -> [ImporterPort]? {
        guard isSettled, var table = FileSystem.read(directory + "/status") else { return nil }
        var ports: [ImporterPort] = []
        var controller = 0
        while true {
            ports += table.parts(between: "\n").compactMap { ImporterPort($0, controller: controller) }
            controller += 1
            // status, status.1, status.2 …: one a controller, all in the first one's directory.
            guard let next = FileSystem.read(compose("\(directory)/status.\(controller)")) else { return ports }
            table = next
        }
    }

    /// Ports that take a device of that speed and are free. The kernel sets up one device of a controller at a time,
    /// and one that does not answer keeps the others waiting: so a controller where none is being set up comes first;
    /// among these the lowest port.
    @inline(never)
    func freePorts(_ speed: USBSpeed) -> [ImporterPort] {
        let all = ports() ?? []
        var free: [ImporterPort] = []
        for isBusy in [false, true] {
            for port in all where port.state == .free && port.isSuperSpeed == speed.isSuper {
                let others = all.contains { $0.controller == port.controller && $0.state == .notAddressed }
                if others == isBusy { free.append(port) }
            }
        }
        return free
    }

    /// Gives the kernel a connection; it holds its own reference to the socket from then on.
    /// - Parameter wanted: the port that it has to be; nil for any.
    /// - Returns: the port.
    /// - Throws: 69 when no port is free, 77, 74.
    func attach(_ record: DeviceRecord, socket: Int32, port wanted: Int? = nil) throws(Diagnostic) -> Int {
        // The hub is chosen by speed; super-speed-plus is refused by the kernel, which carries it as super.
        let speed = record.speed.clamped
        let tried: Message = "attaching \(record.busID.text)"
        guard speed != .unknown else {
            throw Diagnostic(
                .badProtocol,
                "\(tried.text): the peer does not say how fast it is; unplug it there and plug it in again")
        }
        for port in freePorts(speed) where wanted == nil || wanted == port.number {
            let line = compose("\(port.number) \(socket) \(record.devid) \(speed.rawValue)")
            let error = SysfsTree.write(directory + "/attach", line)
            if error == 0 { return port.number }
            // Somebody else was faster.
            if error == EBUSY { continue }
            throw Diagnostic.system(tried, error, error == EACCES ? "run as root" : "see the kernel's log")
        }
        if let wanted {
            throw Diagnostic(
                .unavailable,
                "\(tried.text): port \(wanted) is no free \(speed.isSuper ? "super-speed" : "high-speed") port; "
                    + "leave --port out to take any")
        }
        throw Diagnostic(
            .unavailable,
            "\(tried.text): every \(speed.isSuper ? "super-speed" : "high-speed") port of vhci_hcd is taken; "
                + "detach a device, or load the module with more controllers")
    }

    /// - Throws: 66 when nothing is attached there, 77, 74.
    func detach(_ port: Int) throws(Diagnostic) {
        let error = SysfsTree.write(directory + "/detach", compose("\(port)"))
        if error == 0 { return }
        if error == EINVAL || error == ENOENT || error == ENOTDIR {
            throw Diagnostic(.noSuch, "detaching port \(port): nothing is attached there; `ringway port` shows what is")
        }
        throw Diagnostic.system("detaching port \(port)", error, "run as root")
    }
}

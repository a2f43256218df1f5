// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// What the kernel announces of a USB device: a uevent (lib/kobject_uevent.c). It comes before the driver's probe,
/// and needs no udev.
struct KernelEvent {
    enum Action {
        case added
        case removed
    }

    let action: Action
    let busID: BusID
    /// It is a device of vhci_hcd: one that this guest imports.
    let isImported: Bool

    /// - Parameter bytes: `ACTION@DEVPATH`, then `KEY=VALUE`, each ended by a zero.
    /// - Returns: nil for anything that is not about a whole USB device.
    init?(_ bytes: [UInt8]) {
        let fields = String(bytes: bytes[...]).parts(between: "\0")
        guard fields.contains("SUBSYSTEM=usb"), fields.contains("DEVTYPE=usb_device"),
            let head = fields.first?.cut(at: "@"),
            let name = head.behind.cut(atLast: "/")?.behind, let busID = BusID(name)
        else { return nil }
        switch head.before {
        case "add": action = .added
        case "remove": action = .removed
        default: return nil
        }
        self.busID = busID
        isImported = head.behind.parts(between: "/").contains { $0.rest(after: "vhci_hcd") != nil }
    }
}

/// The socket on which the kernel announces devices.
struct KernelEvents {
    let socket: Int32

    /// - Returns: nil with errno.
    static func open() -> KernelEvents? {
        let socket = cs_uevent_socket()
        return socket < 0 ? nil : KernelEvents(socket: socket)
    }

    enum Reading {
        case event(KernelEvent)
        /// About something else.
        case other
        /// The kernel had to drop some: look at everything anew.
        case overrun
        case nothing
    }

    func next() -> Reading {
        var buffer = [UInt8](repeating: 0, count: 8192)
        let count = buffer.withUnsafeMutableBufferPointer { cs_uevent_receive(socket, $0.baseAddress!, $0.count) }
        if count < 0 { return cs_errno() == ENOBUFS ? .overrun : .nothing }
        return KernelEvent(Array(buffer[0..<max(0, count)])).map { .event($0) } ?? .other
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim

/// A device's node of usbfs, with one interface claimed from whatever driver has it.
struct UsbDevice: ~Copyable {
    private let fd: Int32
    let node: String

    static func open(_ node: String, interface: UInt32) -> Result<UsbDevice, Problem> {
        let fd = node.withCString { cs_open($0, O_RDWR | O_CLOEXEC, 0) }
        guard fd >= 0 else { return .failure(Problem("open", node)) }
        let device = UsbDevice(fd: fd, node: node)
        guard device.claim(interface) else { return .failure(Problem("claim the interface of", node)) }
        return .success(device)
    }

    private init(fd: Int32, node: String) { (self.fd, self.node) = (fd, node) }

    deinit { close(fd) }

    /// `struct usbdevfs_disconnect_claim`: the interface, flags, and a driver's name that these do not ask for.
    private func claim(_ interface: UInt32) -> Bool {
        let words = Words(264)
        words.bytes.storeBytes(of: interface, toByteOffset: 0, as: UInt32.self)
        return cs_ioctl_pointer(fd, Self.disconnectClaim, words.bytes.baseAddress) == 0
    }

    /// `struct usbdevfs_setinterface`.
    func select(interface: UInt32, setting: UInt32) -> Bool {
        let words = Words(8)
        words.bytes.storeBytes(of: interface, toByteOffset: 0, as: UInt32.self)
        words.bytes.storeBytes(of: setting, toByteOffset: 4, as: UInt32.self)
        return cs_ioctl_pointer(fd, Self.setInterface, words.bytes.baseAddress) == 0
    }

    /// A class's request to interface 0 that carries no data, with 5 s of patience: `struct usbdevfs_ctrltransfer`.
    func classRequest(_ request: UInt8, value: UInt16) -> Bool {
        let words = Words(24)
        words.bytes.storeBytes(of: 0x21, toByteOffset: 0, as: UInt8.self)
        words.bytes.storeBytes(of: request, toByteOffset: 1, as: UInt8.self)
        words.bytes.storeBytes(of: value, toByteOffset: 2, as: UInt16.self)
        words.bytes.storeBytes(of: 5000, toByteOffset: 8, as: UInt32.self)
        return cs_ioctl_pointer(fd, Self.control, words.bytes.baseAddress) == 0
    }

    func submit(_ urb: Urb) -> Bool {
        cs_ioctl_pointer(fd, Self.submitURB, urb.start) == 0
    }

    /// Waits for the next one that has ended.
    /// - Returns: its number; nil when there is none to wait for.
    func reap() -> Int? {
        let words = Words(8)
        var result: Int32
        repeat {
            result = cs_ioctl_pointer(fd, Self.reapURB, words.bytes.baseAddress)
        } while result != 0
            && cs_errno() == EINTR
        guard result == 0 else { return nil }
        let start = words.bytes.load(as: UInt.self)
        return UnsafeRawPointer(bitPattern: start).map { Int($0.load(fromByteOffset: Urb.number, as: UInt.self)) }
    }

    // linux/usbdevice_fs.h, for 64-bit processes.
    private static let control: UInt = 0xC018_5500
    private static let setInterface: UInt = 0x8008_5504
    private static let submitURB: UInt = 0x8038_550A
    private static let reapURB: UInt = 0x4008_550C
    private static let disconnectClaim: UInt = 0x8108_551B
}

/// Zeros, aligned to 8 bytes, for as long as this lives.
struct Words: ~Copyable {
    let bytes: UnsafeMutableRawBufferPointer
    init(_ count: Int) {
        bytes = .allocate(byteCount: count, alignment: 8)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }
    deinit { bytes.deallocate() }
}

/// `struct usbdevfs_urb` of a 64-bit process, with its bytes and its packets behind it. For the process's life: the
/// kernel may write to it until its device is closed.
struct Urb {
    /// Where its number lies: the context, which is the program's own.
    static let number = 48
    private static let head = 56
    let start: UnsafeMutableRawPointer
    private let packets: Int

    /// - Parameters:
    ///   - packets: of an isochronous one; 0 for an interrupt transfer.  - size: bytes in each, or in all.
    init(endpoint: UInt8, packets: Int, size: Int, number: Int) {
        self.packets = packets
        let count = size * max(1, packets)
        let descriptors = Self.head + 12 * packets
        start = .allocate(byteCount: descriptors + count, alignment: 8)
        start.initializeMemory(as: UInt8.self, repeating: 0, count: descriptors + count)
        // USBDEVFS_URB_TYPE_ISO and _INTERRUPT.
        start.storeBytes(of: packets > 0 ? 0 : 1, toByteOffset: 0, as: UInt8.self)
        start.storeBytes(of: endpoint, toByteOffset: 1, as: UInt8.self)
        // USBDEVFS_URB_ISO_ASAP: behind the one before it.
        start.storeBytes(of: packets > 0 ? 2 : 0, toByteOffset: 8, as: UInt32.self)
        start.storeBytes(of: UInt(bitPattern: start + descriptors), toByteOffset: 16, as: UInt.self)
        start.storeBytes(of: Int32(count), toByteOffset: 24, as: Int32.self)
        start.storeBytes(of: Int32(packets), toByteOffset: 36, as: Int32.self)
        start.storeBytes(of: UInt(number), toByteOffset: Self.number, as: UInt.self)
        for packet in 0..<packets {
            start.storeBytes(of: UInt32(size), toByteOffset: Self.head + 12 * packet, as: UInt32.self)
        }
    }

    var status: Int32 { start.load(fromByteOffset: 4, as: Int32.self) }

    /// Packets of it that failed.
    var failedPackets: Int {
        var count = 0
        for packet in 0..<packets
        where start.load(fromByteOffset: Self.head + 12 * packet + 8, as: UInt32.self) != 0 { count += 1 }
        return count
    }
}

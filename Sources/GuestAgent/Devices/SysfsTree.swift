// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// The kernel's sysfs, or for tests a directory that looks like it.
///
/// Reading and writing may wait for a device's lock for as long as the device's peer likes: only short-lived
/// processes do it, never the data path.
final class SysfsTree: Sendable {
    let root: String

    init(root: String = "/sys") { self.root = root }

    var devices: String { root + "/bus/usb/devices" }
    var exporterDriver: String { root + "/bus/usb/drivers/usbip-host" }
    var controllers: String { root + "/devices/platform" }

    @inline(never)
    func path(_ device: String, _ attribute: String) -> String { compose("\(devices)/\(device)/\(attribute)") }

    /// An attribute of a USB device, without blanks at its ends; nil when there is none.
    @inline(never)
    func attribute(_ device: String, _ attribute: String) -> String? {
        FileSystem.read(path(device, attribute)).map { $0.head(before: "\n").trimmed }
    }

    @inline(never)
    func number(_ device: String, _ name: String, radix: UInt64 = 10) -> UInt32? {
        attribute(device, name).flatMap { unsigned($0, radix: radix) }.flatMap { UInt32(exactly: $0) }
    }

    /// The last part of the path that a symbolic link names; nil when it is none.
    @inline(never)
    static func linkName(_ path: String) -> String? {
        guard let target = linkTarget(path) else { return nil }
        return target.cut(atLast: "/")?.behind ?? target
    }

    /// Writes an attribute in one call, as the kernel wants it.
    /// - Returns: 0 or errno.
    @inline(never)
    static func write(_ path: String, _ text: String) -> Int32 {
        let fd = path.withCString { cs_open($0, O_WRONLY | O_CLOEXEC, 0) }
        guard fd >= 0 else { return cs_errno() }
        defer { close(fd) }
        let bytes = text.copyBytes()
        let count = bytes.withUnsafeBufferPointer { CShim.write(fd, $0.baseAddress, $0.count) }
        return count == bytes.count ? 0 : count < 0 ? cs_errno() : EIO
    }
}

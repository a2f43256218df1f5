// SPDX-License-Identifier: Apache-2.0
import CShim

/// Control requests through usbfs, one behind the other.
enum ControlRequests {
    static func run(_ node: String, _ count: Int) -> Result<Times, Problem> {
        let fd = node.withCString { cs_open($0, O_RDWR | O_CLOEXEC, 0) }
        guard fd >= 0 else { return .failure(Problem("open", node)) }
        defer { close(fd) }
        let answer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2, alignment: 8)
        defer { answer.deallocate() }
        let request = getStatus(into: answer)
        defer { request.deallocate() }
        var times = Times(bytes: 2 * count, count: count)
        for _ in 0..<count {
            times.begin()
            let length = cs_ioctl_pointer(fd, usbfsControl, request.baseAddress)
            times.end()
            guard length == 2 else { return .failure(Problem("ask for the status of", node)) }
        }
        return .success(times)
    }

    /// `struct usbdevfs_ctrltransfer`: GET_STATUS of the device, with 5 s of patience.
    private static func getStatus(into answer: UnsafeMutableRawBufferPointer) -> UnsafeMutableRawBufferPointer {
        let request = UnsafeMutableRawBufferPointer.allocate(byteCount: 24, alignment: 8)
        request.initializeMemory(as: UInt8.self, repeating: 0)
        request.storeBytes(of: 0x80, toByteOffset: 0, as: UInt8.self)
        request.storeBytes(of: UInt16(answer.count), toByteOffset: 6, as: UInt16.self)
        request.storeBytes(of: 5000, toByteOffset: 8, as: UInt32.self)
        request.storeBytes(of: UInt(bitPattern: answer.baseAddress), toByteOffset: 16, as: UInt.self)
        return request
    }

    /// USBDEVFS_CONTROL, `_IOWR('U', 0, struct usbdevfs_ctrltransfer)`.
    private static let usbfsControl: UInt = 0xC018_5500
}

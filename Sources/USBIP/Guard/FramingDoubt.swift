// SPDX-License-Identifier: Apache-2.0

/// Whether data behind a request's header could be taken for a header itself.
///
/// The guard knows a device's endpoints from its configurations; `usbip-host` may have fewer: `usb_set_interface` can
/// fail for lack of bandwidth, after which the device is told all the same and says yes, and some devices have
/// endpoints that the kernel ignores. Then the kernel reads no body, and what follows is a header to it. So an endpoint
/// is in doubt until it has answered something. Whatever its first data are, the kernel ends the connection over them,
/// unless 12 bytes from their start name a command and this device: those are refused.
struct FramingDoubt {
    /// Endpoints, as slots of `EndpointTable`, that have answered.
    private var proven: UInt32 = 0
    /// How many of the 12 bytes have passed; 12 when nothing is in doubt.
    private var count = 12
    private(set) var command: UInt32 = 0
    private var device: UInt32 = 0
    /// A body in doubt begins behind the header that is being judged.
    private var begins = false

    var isOpen: Bool { count < 12 }

    mutating func forget() { proven = 0 }
    mutating func prove(_ slot: UInt8) { proven |= 1 << UInt32(slot) }
    mutating func begin(_ slot: UInt8) { begins = proven >> UInt32(slot) & 1 == 0 }

    /// Follows what passes.
    /// - Returns: whether that made a header.
    @inline(never)
    mutating func isHeader(_ bytes: UnsafeMutableRawBufferPointer, _ passed: Int, _ devid: UInt32) -> Bool {
        var isHeader = false
        var i = 0
        while isOpen, i < passed {
            if count < 4 { command = command << 8 | UInt32(bytes[i]) }
            if count >= 8 { device = device << 8 | UInt32(bytes[i]) }
            i &+= 1
            count &+= 1
            if count == 12 { isHeader = (command == 1 || command == 2) && device == devid }
        }
        if begins {
            begins = false
            count = 0
        }
        return isHeader
    }
}

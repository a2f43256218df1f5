// SPDX-License-Identifier: Apache-2.0

/// `struct usbip_header_ret_unlink`: how an unlink ended. 4 bytes behind the basic header, and 24 of padding.
public struct RetUnlink: Equatable, Sendable {
    /// -ECONNRESET (-104) when the URB was unlinked: no RET_SUBMIT comes for it. 0 when it had been answered.
    public var status: Int32

    public init(status: Int32) { self.status = status }
}

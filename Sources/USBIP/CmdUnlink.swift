// SPDX-License-Identifier: Apache-2.0

/// `struct usbip_header_cmd_unlink`: takes an URB back. 4 bytes behind the basic header, and 24 of padding.
public struct CmdUnlink: Equatable, Sendable {
    /// The seqnum of the CMD_SUBMIT to unlink.
    public var seqnum: UInt32

    public init(seqnum: UInt32) { self.seqnum = seqnum }
}

// SPDX-License-Identifier: Apache-2.0

/// What follows a PDU's header on the wire: payload first, then isochronous packet descriptors.
public struct PDUBodyLength: Equatable, Sendable {
    /// Bytes of payload.
    public var payload: Int
    /// Descriptors, of 16 bytes each.
    public var isoDescriptors: Int

    public init(payload: Int, isoDescriptors: Int) {
        self.payload = payload
        self.isoDescriptors = isoDescriptors
    }

    /// Nothing, as behind CMD_UNLINK and RET_UNLINK.
    public static var none: PDUBodyLength { PDUBodyLength(payload: 0, isoDescriptors: 0) }
}

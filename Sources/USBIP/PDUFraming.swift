// SPDX-License-Identifier: Apache-2.0

/// How long a PDU's body is, by the rules of `usbip_recv_xbuff` and `usbip_recv_iso` in
/// drivers/usb/usbip/usbip_common.c, and stricter where the kernel would go wrong.
///
/// Whether there are descriptors follows from the endpoint's type and not from `number_of_packets`; whether there is a
/// payload follows from the request's direction, which a reply does not carry. So the caller must know both.
/// Behind CMD_UNLINK and RET_UNLINK comes nothing: `PDUBodyLength.none`.
public enum PDUFraming {
    /// USBIP_MAX_ISO_PACKETS of drivers/usb/usbip/usbip_common.h: packets of one URB.
    public static let packetLimit = 1024
    /// Bytes of one transfer, unless the caller sets another bound: 16 MiB, no more than the kernel lets all programs
    /// together have in flight through usbfs (`usbfs_memory_mb`).
    public static let payloadLimit = 16 << 20

    /// What follows a CMD_SUBMIT: for OUT its payload, and for an isochronous endpoint its descriptors.
    /// - Parameters:
    ///   - direction: of the header.
    ///   - isIsochronous: whether the endpoint is.
    ///   - limit: the most bytes that the transfer may have, whichever way they go.
    /// - Throws: `badLength`, `badPacketCount`.
    public static func body(
        of submit: CmdSubmit, direction: TransferDirection, isIsochronous: Bool, limit: Int = payloadLimit
    ) throws(USBIPError) -> PDUBodyLength {
        let length = try payload(submit.transferBufferLength, limit: limit)
        let packets = try descriptors(submit.numberOfPackets, isIsochronous: isIsochronous, limit: packetLimit)
        return PDUBodyLength(payload: direction == .out ? length : 0, isoDescriptors: packets)
    }

    /// What follows a RET_SUBMIT: for IN its payload, and for an isochronous endpoint its descriptors.
    /// - Parameters:
    ///   - request: the CMD_SUBMIT with the same seqnum. The reply may not have more bytes, nor another number of
    ///     isochronous packets, for which the importer's kernel has no room.
    ///   - direction: of the request's header; the reply's says nothing.
    ///   - isIsochronous: whether the endpoint is.
    /// - Throws: `badLength`, `badPacketCount`.
    public static func body(
        of reply: RetSubmit, to request: CmdSubmit, direction: TransferDirection, isIsochronous: Bool
    ) throws(USBIPError) -> PDUBodyLength {
        let length = try payload(reply.actualLength, limit: Int(request.transferBufferLength))
        let asked = Int(request.numberOfPackets)
        let limit = isIsochronous ? min(asked, packetLimit) : packetLimit
        let packets = try descriptors(reply.numberOfPackets, isIsochronous: isIsochronous, limit: limit)
        if isIsochronous, packets != asked { throw .badPacketCount(reply.numberOfPackets, limit: asked) }
        return PDUBodyLength(payload: direction == .in ? length : 0, isoDescriptors: packets)
    }

    private static func payload(_ untrustedLength: Int32, limit: Int) throws(USBIPError) -> Int {
        guard untrustedLength >= 0, Int(untrustedLength) <= limit else {
            throw .badLength(untrustedLength, limit: limit)
        }
        return Int(untrustedLength)
    }

    private static func descriptors(
        _ untrustedCount: Int32, isIsochronous: Bool, limit: Int
    ) throws(USBIPError) -> Int {
        if untrustedCount == -1, !isIsochronous { return 0 }
        guard untrustedCount >= 0, Int(untrustedCount) <= limit else {
            throw .badPacketCount(untrustedCount, limit: limit)
        }
        return isIsochronous ? Int(untrustedCount) : 0
    }
}

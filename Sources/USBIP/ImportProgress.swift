// SPDX-License-Identifier: Apache-2.0

/// Follows what an importer's kernel asks on one connection, to tell whether the peer still answers.
///
/// A request may wait for as long as the device has nothing to say. A CMD_UNLINK may not: the exporter answers it at
/// once, and until it does `vhci_hcd` blocks its hub's worker, and with it every port of that controller
/// (`vhci_urb_dequeue`, drivers/usb/usbip/vhci_hcd.c). So an unlink behind which nothing at all comes is a peer that
/// is gone.
///
/// The bytes are those of this guest's own kernel. If they are no USB/IP all the same, nothing is concluded.
public struct ImportProgress: Sendable {
    private enum Phase: Sendable {
        case operation(RequestDecoder)
        case requests(PDUDecoder)
        /// No import, or nothing that can be followed.
        case unknown
    }

    private var phase = Phase.operation(RequestDecoder())
    /// CMD_SUBMITs that were sent.
    public private(set) var requests: UInt64 = 0
    /// A request was sent, and nothing has come since.
    public private(set) var isUnanswered = false
    /// A CMD_UNLINK was sent, and nothing has come since.
    public private(set) var isUnlinkUnanswered = false

    public init() {}

    /// Bytes that go to the peer, in whatever pieces.
    public mutating func sent(_ bytes: UnsafeRawBufferPointer) {
        var position = 0
        do throws(USBIPError) {
            if case .operation(var decoder) = phase {
                position = try decoder.feed(bytes)
                switch decoder.request {
                case .importDevice?: phase = .requests(PDUDecoder(.commands))
                case .deviceList?: phase = .unknown
                case nil: phase = .operation(decoder)
                }
            }
            if case .requests(var decoder) = phase {
                // Moved out and back in, so that its buffer is not copied at each call.
                phase = .unknown
                try follow(&decoder, bytes, &position)
                phase = .requests(decoder)
            }
        } catch {
            phase = .unknown
        }
    }

    private mutating func follow(
        _ decoder: inout PDUDecoder, _ bytes: UnsafeRawBufferPointer, _ position: inout Int
    ) throws(USBIPError) {
        while let event = try decoder.next(bytes, from: &position) {
            guard case .header(let header) = event else { continue }
            switch header.body {
            case .cmdSubmit(let submit):
                // This kernel gives no other transfer than an isochronous one a number of packets.
                let length = try PDUFraming.body(
                    of: submit, direction: header.direction, isIsochronous: submit.numberOfPackets > 0)
                try decoder.expect(length)
                requests &+= 1
                isUnanswered = true
            default:
                isUnanswered = true
                isUnlinkUnanswered = true
                try decoder.expect(.none)
            }
        }
    }

    /// Something came from the peer.
    public mutating func received() {
        isUnanswered = false
        isUnlinkUnanswered = false
    }
}

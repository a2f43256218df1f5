// SPDX-License-Identifier: Apache-2.0

/// `struct usbip_header` of drivers/usb/usbip/usbip_common.h: the head of every PDU of the URB phase.
///
/// 48 bytes: `usbip_header_basic` (command, seqnum, devid, direction, ep; 4 each) and 28 by the command. Padding is
/// sent as 0 and not read, as the kernel does it.
public struct PDUHeader: Equatable, Sendable {
    /// Bytes on the wire.
    public static let size = 48
    /// The highest number of an endpoint.
    public static let endpointLimit: UInt32 = 15

    /// The PDU's number; a reply has its command's. Numbers need not begin at 1.
    public var seqnum: UInt32
    /// `busnum << 16 | devnum` in a command, 0 in a reply.
    public var devid: UInt32
    /// Which way an URB's data goes; `.out` in anything but CMD_SUBMIT.
    public var direction: TransferDirection
    /// ep: the endpoint's number without its direction, 0 to 15; 0 in anything but CMD_SUBMIT.
    public var endpoint: UInt32
    public var body: PDUBody

    public var command: PDUCommand { body.command }

    /// The defaults are those of a reply.
    public init(
        seqnum: UInt32, devid: UInt32 = 0, direction: TransferDirection = .out, endpoint: UInt32 = 0, body: PDUBody
    ) {
        self.seqnum = seqnum
        self.devid = devid
        self.direction = direction
        self.endpoint = endpoint
        self.body = body
    }

    /// Reads exactly `size` bytes.
    /// - Throws: `wrongSize`, `unknownCommand`, `badDirection`, `badEndpoint`.
    public init(decoding untrustedBytes: [UInt8]) throws(USBIPError) {
        var reader = try FieldReader(untrustedBytes, .pduHeader)
        let commandNumber = reader.number32()
        guard let command = PDUCommand(rawValue: commandNumber) else { throw .unknownCommand(commandNumber) }
        seqnum = reader.number32()
        devid = reader.number32()
        let directionNumber = reader.number32()
        guard let direction = TransferDirection(rawValue: directionNumber) else {
            throw .badDirection(directionNumber)
        }
        self.direction = direction
        endpoint = reader.number32()
        guard endpoint <= PDUHeader.endpointLimit else { throw .badEndpoint(endpoint) }
        body = PDUBody(command, &reader)
    }

    /// The header's 48 bytes.
    public func encode() -> [UInt8] {
        var writer = FieldWriter()
        for number in [command.rawValue, seqnum, devid, direction.rawValue, endpoint] { writer.put(number) }
        body.put(&writer)
        writer.pad(to: PDUHeader.size)
        return writer.bytes
    }
}

// SPDX-License-Identifier: Apache-2.0

/// `struct usbip_header_cmd_submit`: an URB for the device. 28 bytes behind the basic header: transfer_flags,
/// transfer_buffer_length, start_frame, number_of_packets, interval (4 each), setup (8).
///
/// The numbers are what came; `PDUFraming` judges those that decide how long the body is.
public struct CmdSubmit: Equatable, Sendable {
    /// URB flags, USBIP_URB_* of include/uapi/linux/usbip.h.
    public var transferFlags: UInt32
    /// Bytes of the transfer, whichever way they go.
    public var transferBufferLength: Int32
    public var startFrame: Int32
    /// Isochronous packets; 0 or -1 (0xffffffff) when the endpoint is not isochronous.
    public var numberOfPackets: Int32
    /// Polling interval, in frames or microframes by the device's speed.
    public var interval: Int32
    public var setup: SetupPacket

    public init(
        transferFlags: UInt32 = 0, transferBufferLength: Int32 = 0, startFrame: Int32 = 0, numberOfPackets: Int32 = 0,
        interval: Int32 = 0, setup: SetupPacket = SetupPacket()
    ) {
        self.transferFlags = transferFlags
        self.transferBufferLength = transferBufferLength
        self.startFrame = startFrame
        self.numberOfPackets = numberOfPackets
        self.interval = interval
        self.setup = setup
    }

    init(_ reader: inout FieldReader) {
        transferFlags = reader.number32()
        transferBufferLength = reader.signed32()
        startFrame = reader.signed32()
        numberOfPackets = reader.signed32()
        interval = reader.signed32()
        setup = SetupPacket(&reader)
    }

    func put(_ writer: inout FieldWriter) {
        writer.put(transferFlags)
        for number in [transferBufferLength, startFrame, numberOfPackets, interval] { writer.put(number) }
        writer.put(setup.encode())
    }
}

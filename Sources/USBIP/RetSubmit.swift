// SPDX-License-Identifier: Apache-2.0

/// `struct usbip_header_ret_submit`: how an URB ended. 20 bytes behind the basic header: status, actual_length,
/// start_frame, number_of_packets, error_count (4 each); 8 bytes of padding follow.
///
/// The numbers are what came; `PDUFraming` judges those that decide how long the body is.
public struct RetSubmit: Equatable, Sendable {
    /// 0 or a negative errno of Linux.
    public var status: Int32
    /// Bytes that were transferred, whichever way they went.
    public var actualLength: Int32
    public var startFrame: Int32
    /// Isochronous packets; 0 or -1 (0xffffffff) when the endpoint is not isochronous.
    public var numberOfPackets: Int32
    /// Isochronous packets that failed.
    public var errorCount: Int32

    public init(
        status: Int32 = 0, actualLength: Int32 = 0, startFrame: Int32 = 0, numberOfPackets: Int32 = 0,
        errorCount: Int32 = 0
    ) {
        self.status = status
        self.actualLength = actualLength
        self.startFrame = startFrame
        self.numberOfPackets = numberOfPackets
        self.errorCount = errorCount
    }

    init(_ reader: inout FieldReader) {
        status = reader.signed32()
        actualLength = reader.signed32()
        startFrame = reader.signed32()
        numberOfPackets = reader.signed32()
        errorCount = reader.signed32()
    }

    func put(_ writer: inout FieldWriter) {
        for number in [status, actualLength, startFrame, numberOfPackets, errorCount] { writer.put(number) }
    }
}

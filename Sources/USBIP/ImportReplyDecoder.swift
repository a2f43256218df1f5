// SPDX-License-Identifier: Apache-2.0

/// Reads OP_REP_IMPORT, on the importer's side, from a stream in whatever pieces it comes.
///
/// A reply that grants has 320 bytes; one that refuses ends with its 8-byte header, whatever the status number is.
/// No byte behind the reply is taken: it belongs to the URBs. It holds at most 312 bytes. After an error every call
/// throws the same error.
public struct ImportReplyDecoder: Sendable {
    private let expected: BusID?
    private var collector = PartCollector(.operationHeader)
    private var failure: USBIPError?
    /// How the import ended, once the reply is complete.
    public private(set) var outcome: ImportOutcome?

    /// - Parameter busID: the device that was asked for; a record of another is an error then.
    public init(expecting busID: BusID? = nil) { expected = busID }

    public var isFinished: Bool { outcome != nil }
    /// How many bytes can be taken before more is known; a reader that asks for no more leaves what follows unread.
    public var needed: Int { isFinished ? 0 : collector.missing }

    /// Takes bytes of the stream.
    /// - Returns: how many were taken; fewer than there are only when the reply is complete.
    /// - Throws: `version`, `unknownCode`, `unexpectedCode`, `otherDevice`, and what `DeviceRecord` throws.
    public mutating func feed(_ untrustedBytes: UnsafeRawBufferPointer) throws(USBIPError) -> Int {
        if let failure { throw failure }
        var position = 0
        while !isFinished {
            collector.take(untrustedBytes, from: &position)
            guard collector.isComplete else { break }
            do throws(USBIPError) { try step() } catch {
                failure = error
                throw error
            }
        }
        return position
    }

    /// To be called at the stream's end.
    /// - Throws: `ended` unless the reply is complete, or the error that came before.
    public func finish() throws(USBIPError) {
        if let failure { throw failure }
        guard isFinished else { throw .ended(collector.part, got: collector.untrustedBytes.count) }
    }

    private mutating func step() throws(USBIPError) {
        guard collector.part == .operationHeader else {
            let record = try DeviceRecord(decoding: collector.untrustedBytes)
            if let expected, record.busID != expected { throw .otherDevice(record.busID, expected: expected) }
            outcome = .success(record)
            return
        }
        let header = try OperationHeader(decoding: collector.untrustedBytes, expecting: .replyImport)
        if header.isOK { collector.restart(.deviceRecord) } else { outcome = .refused(status: header.statusNumber) }
    }
}

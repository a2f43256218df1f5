// SPDX-License-Identifier: Apache-2.0

/// Reads an importer's one request, on the exporter's side, from a stream in whatever pieces it comes.
///
/// It takes 8 bytes of OP_REQ_DEVLIST and 40 of OP_REQ_IMPORT and none behind them: an importer may send URBs right
/// behind its request. It holds at most 32 bytes. After an error every call throws the same error.
public struct RequestDecoder: Sendable {
    private var collector = PartCollector(.operationHeader)
    private var failure: USBIPError?
    /// The request, once it is complete.
    public private(set) var request: OperationRequest?

    public init() {}

    public var isFinished: Bool { request != nil }
    /// How many bytes can be taken before more is known; a reader that asks for no more leaves what follows unread.
    public var needed: Int { isFinished ? 0 : collector.missing }

    /// Takes bytes of the stream.
    /// - Returns: how many were taken; fewer than there are only when the request is complete.
    /// - Throws: `version`, `unknownCode`, `unexpectedCode` for a reply, `requestStatus`, `badBusID`.
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
    /// - Throws: `ended` unless the request is complete, or the error that came before.
    public func finish() throws(USBIPError) {
        if let failure { throw failure }
        guard isFinished else { throw .ended(collector.part, got: collector.untrustedBytes.count) }
    }

    private mutating func step() throws(USBIPError) {
        guard collector.part == .operationHeader else {
            var reader = try FieldReader(collector.untrustedBytes, .busID)
            request = .importDevice(try reader.busID())
            return
        }
        let header = try OperationHeader(decoding: collector.untrustedBytes)
        switch header.code {
        case .replyImport, .replyDeviceList: throw .unexpectedCode(header.code, expected: nil)
        case .requestImport, .requestDeviceList: break
        }
        guard header.isOK else { throw .requestStatus(header.statusNumber) }
        if header.code == .requestImport { collector.restart(.busID) } else { request = .deviceList }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Reads OP_REP_DEVLIST, on the importer's side, from a stream in whatever pieces it comes.
///
/// It holds one unfinished device, and the finished ones that `next` has not taken yet: no more than the bytes of the
/// calls of `feed` in between made. No announced count is used to reserve memory. After an error `feed` throws the
/// same error for ever; devices that were complete before can still be taken.
public struct DeviceListDecoder: Sendable {
    private var collector = PartCollector(.operationHeader)
    private var failure: USBIPError?
    /// Devices that have not begun yet.
    private var devicesLeft = 0
    private var current: ListedDevice?
    private var ready: [ListedDevice] = []
    /// Whether the whole list was read; `next` may still have devices.
    public private(set) var isFinished = false

    public init() {}

    /// Takes bytes of the stream.
    /// - Returns: how many were taken; fewer than there are only when the list is complete.
    /// - Throws: `version`, `unknownCode`, `unexpectedCode`, `listRefused`, `tooManyDevices`, and what `DeviceRecord`
    ///   throws.
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

    /// The next device that is complete, in the order of the list.
    public mutating func next() -> ListedDevice? { ready.isEmpty ? nil : ready.removeFirst() }

    /// To be called at the stream's end.
    /// - Throws: `ended` unless the list is complete, or the error that came before.
    public func finish() throws(USBIPError) {
        if let failure { throw failure }
        guard isFinished else { throw .ended(collector.part, got: collector.untrustedBytes.count) }
    }

    private mutating func step() throws(USBIPError) {
        let untrustedBytes = collector.untrustedBytes
        switch collector.part {
        case .operationHeader:
            let header = try OperationHeader(decoding: untrustedBytes, expecting: .replyDeviceList)
            guard header.isOK else { throw .listRefused(status: header.statusNumber) }
            collector.restart(.deviceCount)
        case .deviceCount:
            var reader = try FieldReader(untrustedBytes, .deviceCount)
            let count = reader.number32()
            guard count <= UInt32(USBIPProtocol.deviceLimit) else { throw .tooManyDevices(count) }
            devicesLeft = Int(count)
            beginDevice()
        case .deviceRecord:
            try current = ListedDevice(record: DeviceRecord(decoding: untrustedBytes), interfaces: [])
            beginInterface()
        default:
            try current?.interfaces.append(InterfaceRecord(decoding: untrustedBytes))
            beginInterface()
        }
    }

    private mutating func beginDevice() {
        isFinished = devicesLeft == 0
        if !isFinished { collector.restart(.deviceRecord) }
        devicesLeft -= 1
    }

    private mutating func beginInterface() {
        guard let device = current else { return }
        if device.interfaces.count < Int(device.record.interfaces) {
            collector.restart(.interfaceRecord)
        } else {
            ready.append(device)
            current = nil
            beginDevice()
        }
    }
}

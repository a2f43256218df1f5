// SPDX-License-Identifier: Apache-2.0

/// One entry of OP_REP_DEVLIST: a device and the interfaces of its set configuration.
public struct ListedDevice: Equatable, Sendable {
    public var record: DeviceRecord
    public var interfaces: [InterfaceRecord]

    public init(record: DeviceRecord, interfaces: [InterfaceRecord]) {
        self.record = record
        self.interfaces = interfaces
    }

    /// 312 bytes and 4 for each interface. The record's count is written as the number of interfaces that follow,
    /// whatever `record.interfaces` says; what is above `USBIPProtocol.interfaceLimit` is left out.
    public func encode() -> [UInt8] {
        let listed = interfaces.prefix(USBIPProtocol.interfaceLimit)
        var counted = record
        counted.interfaces = UInt8(listed.count)
        var bytes = counted.encode()
        for interface in listed { bytes += interface.encode() }
        return bytes
    }
}

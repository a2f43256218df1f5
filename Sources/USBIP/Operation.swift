// SPDX-License-Identifier: Apache-2.0

/// The encoders of the operation phase: what is said on a connection before it carries URBs.
public enum Operation {
    /// OP_REQ_DEVLIST: 8 bytes.
    public static func requestDeviceList() -> [UInt8] { OperationHeader(code: .requestDeviceList).encode() }

    /// OP_REQ_IMPORT: 40 bytes, the header and the bus id.
    public static func requestImport(_ busID: BusID) -> [UInt8] {
        OperationHeader(code: .requestImport).encode() + busID.encode()
    }

    /// OP_REP_DEVLIST with ST_OK: 12 bytes, then 312 for each device and 4 for each of its interfaces.
    ///
    /// The list is this side's own: what is above `USBIPProtocol.deviceLimit` is left out.
    public static func replyDeviceList(_ devices: [ListedDevice]) -> [UInt8] {
        let listed = devices.prefix(USBIPProtocol.deviceLimit)
        var writer = FieldWriter()
        writer.put(OperationHeader(code: .replyDeviceList).encode())
        writer.put(UInt32(listed.count))
        for device in listed { writer.put(device.encode()) }
        return writer.bytes
    }

    /// OP_REP_DEVLIST that refuses: 8 bytes, as the stock tools read no further then.
    /// - Parameter status: why; `.ok` would announce a list, so `.error` is sent in its place.
    public static func replyDeviceList(_ status: OperationStatus) -> [UInt8] { refusal(.replyDeviceList, status) }

    /// OP_REP_IMPORT that refuses: 8 bytes, as the stock tools read no further then.
    /// - Parameter status: why; `.ok` would announce a device, so `.error` is sent in its place.
    public static func replyImport(_ status: OperationStatus) -> [UInt8] { refusal(.replyImport, status) }

    /// OP_REP_IMPORT with ST_OK: 320 bytes. What follows on the connection are URBs.
    public static func replyImport(_ record: DeviceRecord) -> [UInt8] {
        OperationHeader(code: .replyImport).encode() + record.encode()
    }

    private static func refusal(_ code: OperationCode, _ status: OperationStatus) -> [UInt8] {
        let isRefusal = status.rawValue != OperationStatus.ok.rawValue
        return OperationHeader(code: code, status: isRefusal ? status : .error).encode()
    }
}

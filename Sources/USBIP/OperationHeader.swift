// SPDX-License-Identifier: Apache-2.0

/// `struct op_common` of tools/usb/usbip/src/usbip_network.h: version (2 bytes), code (2), status (4).
public struct OperationHeader: Equatable, Sendable {
    /// Bytes on the wire.
    public static let size = 8

    public var code: OperationCode
    /// The status as it stands on the wire: requests have 0, replies need not have a known number.
    public var statusNumber: UInt32

    /// The status by name; nil when the number is not a known one.
    public var status: OperationStatus? { OperationStatus(rawValue: statusNumber) }
    /// Whether the status is ST_OK.
    public var isOK: Bool { statusNumber == OperationStatus.ok.rawValue }

    public init(code: OperationCode, status: OperationStatus = .ok) {
        self.code = code
        statusNumber = status.rawValue
    }

    /// Reads exactly `size` bytes.
    /// - Throws: `wrongSize`, `version`, `unknownCode`.
    public init(decoding untrustedBytes: [UInt8]) throws(USBIPError) {
        var reader = try FieldReader(untrustedBytes, .operationHeader)
        let version = reader.number16()
        guard version == USBIPProtocol.version else { throw .version(version) }
        let number = reader.number16()
        guard let code = OperationCode(rawValue: number) else { throw .unknownCode(number) }
        self.code = code
        statusNumber = reader.number32()
    }

    /// Reads exactly `size` bytes that must announce this operation.
    /// - Throws: the same, and `unexpectedCode`.
    init(decoding untrustedBytes: [UInt8], expecting expected: OperationCode) throws(USBIPError) {
        try self.init(decoding: untrustedBytes)
        guard code == expected else { throw .unexpectedCode(code, expected: expected) }
    }

    /// The header's 8 bytes, with this protocol's version.
    public func encode() -> [UInt8] {
        var writer = FieldWriter()
        writer.put(USBIPProtocol.version)
        writer.put(code.rawValue)
        writer.put(statusNumber)
        return writer.bytes
    }
}

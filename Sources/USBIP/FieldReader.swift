// SPDX-License-Identifier: Apache-2.0

/// Takes the fields of one wire structure in their order. The size is checked once, at the start.
struct FieldReader {
    private let untrustedBytes: [UInt8]
    private var position = 0

    /// - Throws: `wrongSize` unless there are exactly the part's bytes.
    init(_ untrustedBytes: [UInt8], _ part: USBIPPart) throws(USBIPError) {
        guard untrustedBytes.count == part.size else { throw .wrongSize(part, got: untrustedBytes.count) }
        self.untrustedBytes = untrustedBytes
    }

    mutating func number8() -> UInt8 {
        position += 1
        return untrustedBytes[position - 1]
    }

    @inline(never)
    mutating func number16() -> UInt16 {
        let high = UInt16(number8())
        return high << 8 | UInt16(number8())
    }

    @inline(never)
    mutating func number32() -> UInt32 {
        let high = UInt32(number16())
        return high << 16 | UInt32(number16())
    }

    mutating func signed32() -> Int32 { Int32(bitPattern: number32()) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        position += count
        return Array(untrustedBytes[(position - count)..<position])
    }

    /// - Throws: `badBusID`.
    mutating func busID() throws(USBIPError) -> BusID {
        let field = bytes(BusID.size)
        guard let busID = BusID(wire: field) else { throw .badBusID(field: field) }
        return busID
    }
}

// SPDX-License-Identifier: Apache-2.0
import USBIP

/// Bytes written as hexadecimal digits; blanks and line ends count for nothing.
func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.filter { !$0.isWhitespace }.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// So many zero bytes.
func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

extension Array where Element == UInt8 {
    /// The bytes with others in the place of those from `offset` on.
    func replacing(at offset: Int, with hex: String) -> [UInt8] {
        var copy = self
        for (i, byte) in bytes(hex).enumerated() { copy[offset + i] = byte }
        return copy
    }
}

/// A decoder of the operation phase.
protocol StreamDecoder {
    mutating func feed(_ untrustedBytes: UnsafeRawBufferPointer) throws(USBIPError) -> Int
    func finish() throws(USBIPError)
    var isFinished: Bool { get }
}

extension RequestDecoder: StreamDecoder {}
extension ImportReplyDecoder: StreamDecoder {}
extension DeviceListDecoder: StreamDecoder {}

extension StreamDecoder {
    /// Feeds bytes in pieces of a size, until the decoder takes no more.
    /// - Returns: how many it took.
    mutating func feed(_ stream: [UInt8], by size: Int) throws(USBIPError) -> Int {
        var taken = 0
        while taken < stream.count {
            let piece = Array(stream[taken..<min(taken + size, stream.count)])
            let result = piece.withUnsafeBytes { raw in
                Result { () throws(USBIPError) in try self.feed(raw) }
            }
            let count = try result.get()
            taken += count
            if count < piece.count { break }
        }
        return taken
    }
}

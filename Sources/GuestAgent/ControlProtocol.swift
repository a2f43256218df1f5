// SPDX-License-Identifier: Apache-2.0
import RingTransport

/// What programs of this guest ask of the agent, over `agent.sock`. 16 bytes, little-endian.
///
///     request  0 magic  4 operation (16 bits)  6 port (16 bits)  8 flags          12 zero
///     reply    0 magic  4 result (errno, 0 ok)                   8 bytes to follow 12 channel number (CONNECT)
///
/// After a CONNECT that was answered with 0 the socket itself is the connection's byte stream.
///
/// A program that does not want to wait for the peer says BEGIN. It is answered at once, with a stream socket
/// (SCM_RIGHTS) in which there is no room until the peer has accepted, as in a TCP connection that is being made. Why
/// it was not made the agent says in the name that it binds its own end to (unix(7), abstract), which is that of the
/// program's peer: `ringway-ERRNO…`, before it closes that end. In the same way a connection's stream, of a program
/// that opened or accepted it, is told its end: `ringway+…`, when the peer has ended in order and all has arrived. An
/// end without that name, closed, is a reset.
enum ControlProtocol {
    static let size = 16
    /// "RWC1".
    static let magic: UInt32 = 0x3143_5752
    static let flagJSON: UInt32 = 1

    enum Operation: UInt16 {
        case connect = 1
        case status = 2
        /// How the peer answers on a channel, whose number stands in place of the port.
        case progress = 3
        case begin = 4
        /// What to say as a stream's first bytes for a part in its ring (DirectMode).
        case direct = 5
    }

    struct Request: Equatable {
        let operation: Operation
        let port: UInt16
        let flags: UInt32
    }

    /// - Returns: nil when the bytes are not a request.
    static func parse(_ bytes: UnsafeRawBufferPointer) -> Request? {
        guard bytes.count == size,
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self)) == magic,
            let operation = Operation(
                rawValue: UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self))),
            bytes.loadUnaligned(fromByteOffset: 12, as: UInt32.self) == 0
        else { return nil }
        return Request(
            operation: operation,
            port: UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 6, as: UInt16.self)),
            flags: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
    }

    private static func bytes(_ word: UInt32) -> [UInt8] {
        [UInt8(word & 255), UInt8(word >> 8 & 255), UInt8(word >> 16 & 255), UInt8(word >> 24)]
    }

    static func request(_ request: Request) -> [UInt8] {
        bytes(magic) + bytes(UInt32(request.operation.rawValue) | UInt32(request.port) << 16)
            + bytes(request.flags) + bytes(0)
    }

    static func reply(_ result: Int32, following: Int = 0, channel: UInt32 = 0) -> [UInt8] {
        bytes(magic) + bytes(UInt32(result)) + bytes(UInt32(following)) + bytes(channel)
    }

    /// - Returns: nil when the bytes do not begin with a reply.
    static func parseReply(_ bytes: [UInt8]) -> (result: Int32, length: Int, channel: UInt32)? {
        func word(_ offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << (8 * UInt32($1)) }
        }
        guard bytes.count >= size, word(0) == magic else { return nil }
        return (Int32(truncatingIfNeeded: word(4)), Int(word(8)), word(12))
    }
}

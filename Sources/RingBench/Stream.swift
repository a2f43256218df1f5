// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation

/// A stream socket, read and written whole.
struct Stream {
    let socket: Int32

    init(_ socket: Int32) { self.socket = socket }

    func write(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(socket, $0.baseAddress! + done, bytes.count - done, cs_msg_nosignal())
            }
            guard count > 0 else {
                throw BenchError.system("write \(bytes.count) bytes", "read what the agents have said")
            }
            done += count
        }
    }

    /// - Parameter room: of at least `count` bytes.
    func read(_ count: Int, into room: inout [UInt8]) throws {
        var done = 0
        while done < count {
            let got = room.withUnsafeMutableBytes { recv(socket, $0.baseAddress! + done, count - done, 0) }
            guard got > 0 else { throw BenchError.system("read \(count) bytes", "read what the agents have said") }
            done += got
        }
    }

    func read(_ count: Int) throws -> [UInt8] {
        var room = [UInt8](repeating: 0, count: count)
        try read(count, into: &room)
        return room
    }
}

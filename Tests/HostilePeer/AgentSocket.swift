// SPDX-License-Identifier: Apache-2.0
import CShim

/// What is said on `agent.sock`.
enum AgentSocket {
    /// - Returns: -1 where nobody listens, with errno.
    static func connect(_ path: String) -> Int32 {
        let fd = socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0)
        var address = sockaddr_un()
        let length = cs_unix_address(&address, path)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { CShim.connect(fd, $0, length) }
        }
        if result == 0 { return fd }
        close(fd)
        return -1
    }

    static func send(_ socket: Int32, _ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes {
            CShim.send(socket, $0.baseAddress, $0.count, cs_msg_nosignal() | cs_msg_dontwait())
        }
    }

    /// As docs of `ControlProtocol` have it.
    static func request(_ operation: UInt16, port: UInt16, flags: UInt32) -> [UInt8] {
        var words: [UInt32] = [0x3143_5752, UInt32(operation) | UInt32(port) << 16, flags, 0]
        return withUnsafeBytes(of: &words[0]) { Array($0) }
            + words[1...].flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim

/// AF_UNIX stream sockets that block.
enum Local {
    private static func at(_ path: String, _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        let fd = socket(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0)
        var address = sockaddr_un()
        let length = path.withCString { cs_unix_address(&address, $0) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(fd, $0, length) }
        }
        return result == 0 ? fd : -1
    }

    static func listen(_ path: String) -> Int32 {
        _ = path.withCString { unlink($0) }
        let fd = at(path) { bind($0, $1, $2) }
        return fd >= 0 && CShim.listen(fd, 8) == 0 ? fd : -1
    }

    static func connect(_ path: String) -> Int32 { at(path) { CShim.connect($0, $1, $2) } }

    /// - Returns: false at the end of the stream.
    static func send(_ fd: Int32, _ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.withUnsafeBufferPointer { CShim.send(fd, $0.baseAddress, $0.count, cs_msg_nosignal()) == $0.count }
    }

    /// - Returns: no bytes at the end of the stream.
    static func receive(_ fd: Int32, atMost limit: Int) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: limit)
        let count = buffer.withUnsafeMutableBufferPointer { recv(fd, $0.baseAddress, $0.count, 0) }
        return Array(buffer[0..<max(0, count)])
    }

    /// - Returns: fewer bytes when the stream ends before.
    static func receive(_ fd: Int32, exactly count: Int) -> [UInt8] {
        var all: [UInt8] = []
        while all.count < count {
            let part = receive(fd, atMost: count - all.count)
            if part.isEmpty { break }
            all += part
        }
        return all
    }

    /// A process for each connection.
    static func serve(_ listener: Int32, _ body: (Int32) -> Void) -> Int32 {
        while true {
            let fd = accept(listener, nil, nil)
            guard fd >= 0 else { return 74 }
            if fork() == 0 {
                body(fd)
                _exit(0)
            }
            close(fd)
            while waitpid(-1, nil, WNOHANG) > 0 {}
        }
    }
}

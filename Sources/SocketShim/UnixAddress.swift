// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// The address of an AF_UNIX socket: a path, or an abstract name that begins with a zero.
struct UnixAddress {
    private var address = sockaddr_un()
    private let length: socklen_t

    /// Nil if the text does not fit.
    init?(_ text: borrowing Text, isPath: Bool) {
        // A path takes its terminating zero with it; a name has none.
        let count = text.count + (isPath ? 1 : 0)
        guard text.count > 0, count <= MemoryLayout<sockaddr_un>.size - 2 else { return nil }
        length = socklen_t(2 + count)
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address) { bytes in
            let target = bytes.baseAddress.unsafelyUnwrapped + 2
            text.withBytes { target.copyMemory(from: $0, byteCount: count) }
        }
    }

    func bind(_ fd: Int32) -> Int32 {
        withUnsafePointer(to: address) { raw_bind(fd, $0, length) }
    }

    func connect(_ fd: Int32) -> Int32 {
        withUnsafePointer(to: address) { raw_connect(fd, $0, length) }
    }
}

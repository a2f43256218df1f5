// SPDX-License-Identifier: Apache-2.0
import CShim

/// A shared mapping; unmapped when the last reference goes.
public final class Mapping: @unchecked Sendable {
    public let base: UnsafeMutableRawPointer
    public let size: Int

    /// Maps `size` bytes of `fd`.
    public init(fd: Int32, size: Int, writable: Bool = true) throws {
        let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
        guard let address = mmap(nil, size, protection, MAP_SHARED, fd, 0), address != cs_map_failed() else {
            throw SystemFailure("mmap of \(size) bytes")
        }
        base = address
        self.size = size
    }

    /// Maps `size` bytes of the file at `path`, which is created, and made that long, when `create` is set.
    public convenience init(path: String, size: Int, writable: Bool = true, create: Bool = false) throws {
        let access = writable ? O_RDWR : O_RDONLY
        let fd = cs_open(path, access | O_CLOEXEC | (create ? O_CREAT : 0), 0o600)
        guard fd >= 0 else { throw SystemFailure("open of \(path)") }
        defer { close(fd) }
        if create, ftruncate(fd, off_t(size)) != 0 { throw SystemFailure("ftruncate of \(path)") }
        try self.init(fd: fd, size: size, writable: writable)
    }

    deinit { munmap(base, size) }
}

/// A page that a child sees wiped after `fork`, holding this process's identity word.
public final class IdentityPage: @unchecked Sendable {
    public let word: UnsafeMutablePointer<UInt64>
    static let size = 4096

    public init(_ identity: UInt64) throws {
        let address = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let address, address != cs_map_failed() else { throw SystemFailure("mmap of the identity page") }
        guard cs_wipe_on_fork(address, Self.size) == 0 else { throw SystemFailure("MADV_WIPEONFORK") }
        word = address.assumingMemoryBound(to: UInt64.self)
        word.pointee = identity
    }

    deinit { munmap(word, Self.size) }
}

/// A system call of the test itself failed.
public struct SystemFailure: Error, CustomStringConvertible {
    public let description: String

    public init(_ what: String) {
        var text = [CChar](repeating: 0, count: 128)
        cs_strerror(cs_errno(), &text, text.count)
        description = text.withUnsafeBufferPointer { "\(what): " + String(cString: $0.baseAddress!) }
    }
}

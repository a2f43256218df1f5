// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// Why a file could not be read.
struct FileFailure: Error {
    /// errno.
    let error: Int32
    var isAbsent: Bool { error == ENOENT || error == ENOTDIR }
}

/// The little of a file system that the agent reads.
enum FileSystem {
    static let maximumText = 65536

    /// A small file's text.
    @inline(never)
    static func text(_ path: __owned String) -> Result<String, FileFailure> {
        switch bytes(path) {
        case .success(let bytes): return .success(String(bytes: bytes[...]))
        case .failure(let failure): return .failure(failure)
        }
    }

    /// What is in a small file.
    @inline(never)
    static func bytes(_ path: __owned String) -> Result<[UInt8], FileFailure> {
        // A pipe in its place must not make anybody wait.
        let fd = path.withCString { cs_open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0) }
        guard fd >= 0 else { return .failure(FileFailure(error: cs_errno())) }
        defer { close(fd) }
        var all: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while all.count <= maximumText {
            let count = part.withUnsafeMutableBufferPointer { CShim.read(fd, $0.baseAddress, $0.count) }
            if count < 0 { return .failure(FileFailure(error: cs_errno())) }
            if count == 0 { return .success(all) }
            all += part[0..<count]
        }
        return .failure(FileFailure(error: EFBIG))
    }

    @inline(never)
    static func read(_ path: __owned String) -> String? {
        guard case .success(let text) = text(path) else { return nil }
        return text
    }

    /// Puts a small file in the place of another at once: whoever reads it sees the old text or the new.
    /// - Returns: false with errno.
    @inline(never)
    static func replace(_ path: __owned String, _ text: String) -> Bool {
        let new = path + ".new"
        let fd = new.withCString { cs_open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) }
        guard fd >= 0 else { return false }
        let written = text.copyBytes().withUnsafeBufferPointer { Output.writeAll(fd, UnsafeRawBufferPointer($0)) }
        close(fd)
        return written && new.withCString { from in path.withCString { cs_rename(from, $0) } } == 0
    }

    @inline(never)
    static func exists(_ path: __owned String) -> Bool { path.withCString { access($0, F_OK) } == 0 }
    @inline(never)
    static func isReadable(_ path: __owned String) -> Bool { path.withCString { access($0, R_OK) } == 0 }

    @inline(never)
    static func isExecutable(_ path: __owned String) -> Bool {
        guard let mode = mode(path), mode & 0o170000 == 0o100000 else { return false }
        return path.withCString { access($0, X_OK) } == 0
    }

    /// Whether to execute the file changes this process's user, group or capabilities, so that the dynamic
    /// loader distrusts the environment (ld.so(8), secure-execution mode).
    @inline(never)
    static func changesPrivileges(_ path: __owned String) -> Bool {
        var information = stat()
        guard path.withCString({ stat($0, &information) }) == 0 else { return false }
        let mode = UInt32(information.st_mode)
        if mode & 0o4000 != 0, information.st_uid != getuid() { return true }
        if mode & 0o2000 != 0, information.st_gid != getgid() { return true }
        return getuid() != 0 && path.withCString { cs_has_file_capabilities($0) }
    }

    /// The path from the root, without symbolic links; nil when there is no such file. The kernel resolves it.
    @inline(never)
    static func absolute(_ path: String) -> String? {
        let fd = path.withCString { cs_open_path($0) }
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        return linkTarget(compose("/proc/self/fd/\(fd)"))
    }

    @inline(never)
    private static func mode(_ path: __owned String) -> UInt32? {
        var information = stat()
        guard path.withCString({ stat($0, &information) }) == 0 else { return nil }
        return UInt32(information.st_mode)
    }
}

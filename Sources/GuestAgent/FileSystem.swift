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
    static func text(_ path: String) -> Result<String, FileFailure> {
        let fd = path.withCString { cs_open($0, O_RDONLY | O_CLOEXEC, 0) }
        guard fd >= 0 else { return .failure(FileFailure(error: cs_errno())) }
        defer { close(fd) }
        var all: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while all.count <= maximumText {
            let count = part.withUnsafeMutableBufferPointer { CShim.read(fd, $0.baseAddress, $0.count) }
            if count < 0 { return .failure(FileFailure(error: cs_errno())) }
            if count == 0 { return .success(String(bytes: all[...])) }
            all += part[0..<count]
        }
        return .failure(FileFailure(error: EFBIG))
    }

    @inline(never)
    static func read(_ path: String) -> String? {
        guard case .success(let text) = text(path) else { return nil }
        return text
    }

    /// At most the first `bytes` of a file.
    @inline(never)
    static func beginning(_ path: String, bytes: Int) -> [UInt8]? {
        let fd = path.withCString { cs_open($0, O_RDONLY | O_CLOEXEC, 0) }
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        var all = [UInt8](repeating: 0, count: bytes)
        let count = all.withUnsafeMutableBufferPointer { CShim.read(fd, $0.baseAddress, $0.count) }
        return count < 0 ? nil : Array(all[0..<count])
    }

    /// Puts a small file in the place of another at once: whoever reads it sees the old text or the new.
    /// - Returns: false with errno.
    @inline(never)
    static func replace(_ path: String, _ text: String) -> Bool {
        let new = path + ".new"
        let fd = new.withCString { cs_open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) }
        guard fd >= 0 else { return false }
        let written = text.copyBytes().withUnsafeBufferPointer { Output.writeAll(fd, UnsafeRawBufferPointer($0)) }
        close(fd)
        return written && new.withCString { from in path.withCString { cs_rename(from, $0) } } == 0
    }

    @inline(never)
    static func exists(_ path: String) -> Bool { path.withCString { access($0, F_OK) } == 0 }
    @inline(never)
    static func isReadable(_ path: String) -> Bool { path.withCString { access($0, R_OK) } == 0 }

    @inline(never)
    static func isExecutable(_ path: String) -> Bool {
        guard let mode = mode(path), mode & 0o170000 == 0o100000 else { return false }
        return path.withCString { access($0, X_OK) } == 0
    }

    /// Whether to execute the file changes this process's user, group or capabilities, so that the dynamic
    /// loader distrusts the environment (ld.so(8), secure-execution mode).
    @inline(never)
    static func changesPrivileges(_ path: String) -> Bool {
        var information = stat()
        guard path.withCString({ stat($0, &information) }) == 0 else { return false }
        let mode = UInt32(information.st_mode)
        if mode & 0o4000 != 0, information.st_uid != getuid() { return true }
        if mode & 0o2000 != 0, information.st_gid != getgid() { return true }
        return getuid() != 0 && path.withCString { cs_has_file_capabilities($0) }
    }

    /// The path from the root, without symbolic links; nil when there is no such file.
    @inline(never)
    static func absolute(_ path: String) -> String? {
        guard let resolved = path.withCString({ realpath($0, nil) }) else { return nil }
        defer { free(resolved) }
        return String(terminated: resolved)
    }

    @inline(never)
    private static func mode(_ path: String) -> UInt32? {
        var information = stat()
        guard path.withCString({ stat($0, &information) }) == 0 else { return nil }
        return UInt32(information.st_mode)
    }

    /// The names in a directory, without `.` and `..`; nil when it cannot be read.
    @inline(never)
    static func list(_ path: String) -> [String]? {
        guard let directory = path.withCString({ cs_opendir($0) }) else { return nil }
        defer { cs_closedir(directory) }
        var names: [String] = []
        while let name = cs_readdir(directory) {
            let text = String(terminated: name)
            if text != ".", text != ".." { names.append(text) }
        }
        return names
    }
}

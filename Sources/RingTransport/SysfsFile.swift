// SPDX-License-Identifier: Apache-2.0
import CShim

/// Small files that never wait for a device, most of all of sysfs (class, PCI and UIO attributes).
public enum SysfsFile {
    /// The first line; nil when it cannot be read.
    static func line(_ path: String) -> String? {
        guard let bytes = bytes(path, limit: 256), !bytes.isEmpty else { return nil }
        return String(bytes: bytes[...]).head(before: "\n")
    }

    /// At most `limit` bytes from the start, as one read gives them; nil when it cannot be read.
    @inline(never)
    public static func bytes(_ path: String, limit: Int) -> [UInt8]? {
        let fd = path.withCString { cs_open($0, O_RDONLY | O_CLOEXEC, 0) }
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = bytes.withUnsafeMutableBufferPointer { read(fd, $0.baseAddress, $0.count) }
        return count < 0 ? nil : Array(bytes[0..<count])
    }

    /// Names in a directory, none when it cannot be read.
    static func names(_ path: String) -> [String] { list(path) ?? [] }

    /// Names in a directory, without `.` and `..`; nil when it cannot be read.
    @inline(never)
    public static func list(_ path: String) -> [String]? {
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

// SPDX-License-Identifier: Apache-2.0
import CShim

/// A shared file, or a memfd by its `/proc/PID/fd` name: for one host, and for tests.
enum FileBackend {
    static func open(_ path: String, writable: Bool) throws(TransportError) -> MappingSource {
        // O_NONBLOCK has no effect on a file, and a FIFO of that name does not make the agent wait.
        let fd = path.withCString { cs_open($0, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK, 0) }
        guard fd >= 0 else {
            if cs_errno() == EISDIR { throw notRegular(path) }
            throw .system(.io, "opening the section file \(path)", cs_errno(), "create it, or correct the path")
        }
        var information = stat()
        guard fstat(fd, &information) == 0, UInt32(information.st_mode) & 0o170000 == 0o100000 else {
            close(fd)
            throw notRegular(path)
        }
        // A memfd can be sealed; another file cannot, and its truncation is watched for.
        let sealed = cs_seal_size(fd) == 0
        return MappingSource(
            descriptor: fd, size: Int(information.st_size), memoryType: .cached, canShrink: !sealed)
    }

    private static func notRegular(_ path: String) -> TransportError {
        TransportError(
            .badContent, "opening the section file \(path): it is not a regular file; name a file or a memfd")
    }
}

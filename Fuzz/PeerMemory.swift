// SPDX-License-Identifier: Apache-2.0
import CShim

/// A section as the peer's is in an agent: read-only, with nothing before and behind it. The fuzzer writes it through
/// another mapping. A store through the first, or an access outside, is a crash.
final class PeerMemory {
    let readOnly: UnsafeMutableRawPointer
    let writable: UnsafeMutableRawPointer
    let size: Int

    init(size: Int) {
        self.size = size
        let fd = cs_memfd("ringway-fuzz")
        must(fd >= 0 && ftruncate(fd, off_t(size)) == 0, "no memory of \(size) bytes: \(cs_errno())")
        readOnly = Self.map(fd, size, PROT_READ)
        writable = Self.map(fd, size, PROT_READ | PROT_WRITE)
        close(fd)
    }

    private static func map(_ fd: Int32, _ size: Int, _ protection: Int32) -> UnsafeMutableRawPointer {
        let page = 4096
        let space = mmap(nil, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        let place = (space ?? cs_map_failed()) + page
        let found = mmap(place, size, protection, MAP_SHARED | MAP_FIXED, fd, 0)
        must(found == place, "mmap: \(cs_errno())")
        return place
    }

    func clear() { memset(writable, 0, size) }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

/// Who this process is to the owner words of ring ends: process id and start time in one word, so that a
/// process that got a dead one's number is not taken for it.
///
/// The word lies in a page of its own that a child sees wiped after `fork`: there it reads 0, and every
/// attachment made through it is dead until the child attaches itself.
public final class ProcessIdentity {
    private let page: UnsafeMutableRawPointer

    private init(page: UnsafeMutableRawPointer) { self.page = page }

    deinit { munmap(page, 4096) }

    /// Gives this process an identity.
    public static func attach() throws(TransportError) -> ProcessIdentity {
        let page = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let page, page != cs_map_failed() else {
            throw .system(.io, "mapping the identity page", cs_errno())
        }
        guard cs_wipe_on_fork(page, 4096) == 0 else {
            let error = cs_errno()
            munmap(page, 4096)
            throw .system(.io, "marking the identity page as wiped on fork", error, "Linux 4.14 or later is needed")
        }
        guard let start = startTime(of: getpid()) else {
            munmap(page, 4096)
            throw TransportError(.io, "reading this process's start time from /proc/self/stat; mount /proc")
        }
        page.storeBytes(of: word(pid: getpid(), start: start), as: UInt64.self)
        return ProcessIdentity(page: page)
    }

    /// For ring ends.
    public var attachment: Attachment {
        Attachment(identity: UnsafePointer(page.assumingMemoryBound(to: UInt64.self)))
    }

    public var current: UInt64 { page.load(as: UInt64.self) }

    static func word(pid: pid_t, start: UInt64) -> UInt64 {
        UInt64(UInt32(bitPattern: pid)) << 32 | start & 0xFFFF_FFFF
    }

    /// Whether the process that an owner word names still lives. A zombie does not: it holds nothing. Where /proc
    /// cannot be read, as behind a chroot, nobody is known to be dead.
    public static func isAlive(_ identity: UInt64) -> Bool {
        let pid = pid_t(truncatingIfNeeded: identity >> 32)
        if pid <= 0 { return false }
        guard let start = startTime(of: pid) else { return startTime(of: getpid()) == nil }
        return word(pid: pid, start: start) == identity
    }

    /// Field 22 of /proc/PID/stat, in clock ticks since boot (proc(5)); nil for a process that is gone or
    /// a zombie.
    private static func startTime(of pid: pid_t) -> UInt64? {
        guard let bytes = SysfsFile.bytes(compose("/proc/\(pid)/stat"), limit: 1024) else { return nil }
        return startTime(inStat: bytes)
    }

    /// The second field is the program's name in parentheses, which may hold anything, parentheses, line
    /// ends and broken UTF-8 included: what follows the last parenthesis is counted, in bytes.
    static func startTime(inStat bytes: [UInt8]) -> UInt64? {
        guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = String(bytes: bytes[(end + 1)...]).words
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return unsigned(fields[19])
    }
}

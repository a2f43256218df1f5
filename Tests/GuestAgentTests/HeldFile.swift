// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport

/// A file whose readers wait until it is released, and not even SIGKILL ends their wait: as with a file in sysfs
/// while its device's lock is held.
///
/// It is the root of a FUSE file system (linux/fuse.h) whose server, this object, answers no OPEN: the kernel waits
/// uninterruptibly for the answer to a request that a server has taken.
final class HeldFile {
    /// To be inherited by the program that mounts the file.
    let descriptor: Int32
    private var opens = 0
    private var isReleased = false

    /// Needs to mount, in a mount namespace of its own.
    static let canBeMade: Bool = {
        guard geteuid() == 0, access("/dev/fuse", R_OK | W_OK) == 0 else { return false }
        let program = try? Program("/usr/bin/unshare", ["--mount", "/bin/mount", "-t", "tmpfs", "none", "/sys"])
        return program?.finish() == 0
    }()

    init() throws {
        descriptor = cs_open("/dev/fuse", O_RDWR | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw SystemFailure("open of /dev/fuse") }
    }

    deinit { release() }

    /// A program that sees nothing in /sys but this file, and then becomes the one whose words follow.
    /// - Parameter number: of the descriptor there.
    func mounted(at path: String, number: Int32) -> [String] {
        let folder = path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)
        // The program must not keep the file system alive by having its server's descriptor open.
        let script = """
            mount -t tmpfs none /sys && mkdir -p '\(folder)' && >'\(path)' &&
            mount -i -t fuse -o fd=\(number),rootmode=100444,user_id=0,group_id=0 held '\(path)' &&
            exec \(number)<&- "$@"
            """
        return ["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/bash", "-c", script, "bash"]
    }

    private static let opOpen: UInt32 = 14
    private static let opInit: UInt32 = 26

    /// Serves until so many readers wait.
    func waitForReaders(_ count: Int) throws {
        let deadline = Deadline(seconds: Guests.patience)
        // The kernel wants room for the longest request, whatever comes.
        var request = [UInt32](repeating: 0, count: 16384)
        while opens < count {
            guard deadline.wait(forInput: descriptor) else { throw TimedOut() }
            guard read(descriptor, &request, 65536) >= 40 else { throw SystemFailure("read from /dev/fuse") }
            // struct fuse_in_header: length, operation, two words of a number that the answer repeats.
            switch request[1] {
            case Self.opInit: try answerInit(request[2], request[3])
            case Self.opOpen: opens += 1
            default: continue
            }
        }
    }

    /// struct fuse_out_header and struct fuse_init_out: version 7.31, writes of 4096 bytes, everything else zero.
    private func answerInit(_ low: UInt32, _ high: UInt32) throws {
        var answer = [UInt32](repeating: 0, count: 20)
        (answer[0], answer[2], answer[3]) = (80, low, high)
        (answer[4], answer[5]) = (7, 31)
        (answer[9], answer[10]) = (4096, 1)
        guard write(descriptor, answer, 80) == 80 else { throw SystemFailure("write to /dev/fuse") }
    }

    /// Ends every wait; opening the file fails from now on.
    func release() {
        if !isReleased { close(descriptor) }
        isReleased = true
    }
}

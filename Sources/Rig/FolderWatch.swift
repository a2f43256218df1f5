// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Wakes when something in a folder is created or written (inotify(7)), so that a log can be followed
/// without looking at it again and again.
final class FolderWatch {
    private let descriptor: Int32

    /// - Throws: when the kernel's limit on watches is reached or the folder is not there.
    init(_ folder: URL) throws {
        descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        let watch = inotify_add_watch(descriptor, folder.path, UInt32(IN_MODIFY | IN_CREATE))
        guard descriptor >= 0, watch >= 0 else {
            let reason = String(cString: strerror(errno))
            if descriptor >= 0 { close(descriptor) }
            throw RigError(
                tried: "watch the folder \(folder.path)", happened: reason,
                remedy: "raise fs.inotify.max_user_watches and max_user_instances")
        }
    }

    deinit { close(descriptor) }

    /// Returns when something has changed since the last call, or after `limit`.
    func wait(_ limit: Duration) {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let milliseconds = Int32(max(0, min(60_000, Progress.seconds(limit) * 1000)))
        guard poll(&entry, 1, milliseconds) > 0 else { return }
        var events = [UInt8](repeating: 0, count: 4096)
        while read(descriptor, &events, events.count) > 0 {}
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Folders that are made once and then kept: whole or not there at all.
enum Cache {
    /// Makes `folder` by filling another one beside it and renaming that, unless `folder` is there already.
    static func produce(_ folder: URL, fill: (URL) throws -> Void) throws {
        let files = FileManager.default
        guard !files.fileExists(atPath: folder.path) else { return }
        let partial = folder.deletingLastPathComponent()
            .appendingPathComponent(".partial-\(folder.lastPathComponent)")
        try? files.removeItem(at: partial)
        try files.createDirectory(at: partial, withIntermediateDirectories: true)
        try fill(partial)
        try files.moveItem(at: partial, to: folder)
    }

    /// Runs `body` while no other process works in the cache: two rigs that start together download once.
    static func exclusively<Value>(_ cache: URL, progress: Progress, _ body: () throws -> Value) throws -> Value {
        try FileManager.default.createDirectory(at: cache, withIntermediateDirectories: true)
        let path = cache.appendingPathComponent("lock").path
        let descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw RigError(
                tried: "lock the cache \(cache.path)", happened: String(cString: strerror(errno)),
                remedy: "check that the folder may be written, or name another in RINGWAY_RIG_CACHE")
        }
        defer { close(descriptor) }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            progress.note("waiting for another rig that fills \(cache.path)")
            while flock(descriptor, LOCK_EX) != 0 && errno == EINTR {}
        }
        return try body()
    }
}

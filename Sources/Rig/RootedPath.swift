// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Paths in a tree that is not this machine's root: a package that was unpacked without being installed.
enum RootedPath {
    /// The file that `path` names below `root`, also where one of the two forms /X and /usr/X is gone since Debian
    /// merged them. Links are followed as if `root` were the root of the file system.
    static func find(_ path: String, below root: URL) -> URL? {
        let relative = path.hasPrefix("/") ? String(path.dropFirst()) : path
        for place in [relative, "usr/" + relative] {
            if let file = resolve(root.appendingPathComponent(place), below: root) { return file }
        }
        return nil
    }

    private static func resolve(_ url: URL, below root: URL) -> URL? {
        var current = url
        // As many links in a row as Linux follows.
        for _ in 0..<40 {
            guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: current.path) else {
                return FileManager.default.fileExists(atPath: current.path) ? current : nil
            }
            current =
                target.hasPrefix("/")
                ? root.appendingPathComponent(target)
                : current.deletingLastPathComponent().appendingPathComponent(target).standardizedFileURL
        }
        return nil
    }
}

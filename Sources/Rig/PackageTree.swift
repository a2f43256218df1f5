// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Debian packages and all that they depend on, unpacked into one folder: a root to chroot(2) into. No package's
/// scripts are run, so nothing is set up, started or changed on this machine; the users that programs look up are
/// written here.
public enum PackageTree {
    /// Makes `output`, unless it is there with the same packages in the same versions.
    /// - Returns: whether it was made.
    @discardableResult
    public static func build(
        _ names: [String], architecture: GuestArchitecture, root: URL, output: URL, progress: Progress
    ) throws -> Bool {
        let cache = ImageRequest.defaultCache(root: root)
        return try Cache.exclusively(cache, progress: progress) {
            let debian = try DebianPackages(architecture: architecture, cache: cache, progress: progress)
            let wanted = try debian.closure(of: names)
            let stamp = stampText(wanted)
            if (try? String(contentsOf: stampFile(of: output), encoding: .utf8)) == stamp { return false }
            let packages = try debian.fetch(wanted)
            try? FileManager.default.removeItem(at: output)
            try progress.step("a root of \(packages.count) packages") {
                try Cache.produce(output) { new in
                    for package in packages {
                        try HostCommand(
                            "cp", ["-a", "\(package.files.path)/.", new.path], timeLimit: .seconds(300)
                        ).check()
                    }
                    try addShellAndUsers(new)
                    try Data(stamp.utf8).write(to: stampFile(of: new))
                }
            }
            return true
        }
    }

    static func stampText(_ packages: [PackageVersion]) -> String {
        packages.map { "\($0.name) \($0.version)\n" }.sorted().joined()
    }

    private static func stampFile(of tree: URL) -> URL { tree.appendingPathComponent(".packages") }

    /// What the packages' scripts would have made: a shell, and the users of services.
    private static func addShellAndUsers(_ tree: URL) throws {
        let shell = tree.appendingPathComponent("bin/sh")
        if !FileManager.default.fileExists(atPath: shell.path) {
            try FileManager.default.createSymbolicLink(atPath: shell.path, withDestinationPath: "dash")
        }
        let etc = tree.appendingPathComponent("etc")
        try FileManager.default.createDirectory(at: etc, withIntermediateDirectories: true)
        let users = [("root", 0), ("sshd", 101), ("postgres", 102), ("www-data", 33), ("nobody", 65534)]
        let passwd = users.map { "\($0):x:\($1):\($1):\($0):/tmp:/bin/sh\n" }.joined()
        let group = users.map { "\($0):x:\($1):\n" }.joined()
        for (name, text) in [
            ("passwd", passwd), ("group", group), ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
            ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
        ] {
            try Data(text.utf8).write(to: etc.appendingPathComponent(name))
        }
    }
}

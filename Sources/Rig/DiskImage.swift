// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A guest's root on a disk: an ext4 file system that mke2fs fills from a folder. Nothing is mounted and no root is
/// needed; made by a plain user, the files belong to that user's number, which a guest with root alone does not mind.
enum DiskImage {
    /// Room for what a guest writes, besides a quarter of what it begins with.
    private static let spare = 8 << 20

    /// Writes what `archive` holds to `url`. Device nodes are left out: the kernel's devtmpfs has them.
    static func write(_ archive: CpioArchive, to url: URL, staging: URL) throws {
        let root = staging.appendingPathComponent("root")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        var size = spare
        for entry in archive.sorted {
            size += try lay(entry, below: root)
        }
        let kibibytes = (size + size / 4) >> 10
        try HostCommand(
            "mke2fs",
            [
                "-q", "-F", "-t", "ext4", "-m", "0", "-L", "ringway-root", "-E", "root_owner=0:0", "-d", root.path,
                url.path, "\(kibibytes)k",
            ],
            timeLimit: .seconds(300)
        ).check(remedy: "install the package e2fsprogs, and check the room on the disk")
    }

    /// - Returns: about what the entry takes on the disk.
    private static func lay(_ entry: CpioArchive.Entry, below root: URL) throws -> Int {
        let files = FileManager.default
        let place = root.appendingPathComponent(entry.path)
        switch entry.node {
        case .directory:
            try files.createDirectory(at: place, withIntermediateDirectories: true)
        case .symbolicLink(let target):
            try files.createSymbolicLink(atPath: place.path, withDestinationPath: target)
            return MemoryEstimate.page
        case .characterDevice: return 0
        case .file(let url):
            try files.copyItem(at: url.resolvingSymlinksInPath(), to: place)
        }
        try files.setAttributes([.posixPermissions: Int(entry.mode)], ofItemAtPath: place.path)
        let size = try place.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0
        return MemoryEstimate.page + (size + MemoryEstimate.page - 1) / MemoryEstimate.page * MemoryEstimate.page
    }
}

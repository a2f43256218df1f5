// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What goes into an image, with where each file came from.
struct ImageContents {
    private(set) var archive = CpioArchive()
    private var origins: [String: String] = [:]
    /// Files that are Debian's own, to be compared with their packages.
    private var debian: [(file: URL, sum: String, package: String)] = []
    private var sums: [String: [String: String]] = [:]
    private let staging: URL
    private var staged = 0

    init(staging: URL) {
        self.staging = staging
        // As Debian lays its system out: programs name /bin/sh, /sbin/modprobe, /lib64/ld-linux….
        for name in ["bin", "sbin", "lib", "lib64"] {
            archive.add("/usr/\(name)", mode: 0o755, .directory)
            archive.add("/\(name)", mode: 0o777, .symbolicLink("usr/\(name)"))
        }
        // The kernel opens the console before /init mounts devtmpfs.
        archive.add("/dev/console", mode: 0o600, .characterDevice(major: 5, minor: 1))
    }

    mutating func add(_ path: String, file: URL, mode: UInt32, origin: String) {
        archive.add(path, mode: mode, .file(file))
        origins[Self.key(path)] = origin
    }

    mutating func add(_ path: String, data: Data, mode: UInt32, origin: String) throws {
        staged += 1
        let folder = staging.appendingPathComponent("data")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appendingPathComponent("\(staged)")
        try data.write(to: file)
        add(path, file: file, mode: mode, origin: origin)
    }

    mutating func link(_ path: String, to target: String) {
        archive.add(path, mode: 0o777, .symbolicLink(target))
    }

    /// Adds `file` at `path` and remembers that it must be the one that `package` holds at `name`.
    mutating func add(_ path: String, file: URL, of package: DebianPackage, named name: String, mode: UInt32) throws {
        try mustMatch(file, of: package, named: name)
        add(path, file: file, mode: mode, origin: package.label)
    }

    /// Adds `file`, which lies in `package`, at `path`.
    mutating func add(_ path: String, file: URL, of package: DebianPackage, mode: UInt32) throws {
        let root = package.files.resolvingSymlinksInPath().path + "/"
        let real = file.resolvingSymlinksInPath()
        let name = real.path.hasPrefix(root) ? String(real.path.dropFirst(root.count)) : real.path
        try add(path, file: real, of: package, named: name, mode: mode)
    }

    /// Remembers a file that is not in the image but must be Debian's own all the same.
    mutating func mustMatch(_ file: URL, of package: DebianPackage, named name: String) throws {
        guard let sum = try checksums(of: package)[name] else {
            throw RigError(
                tried: "use \(file.path)", happened: "\(package.label) has no checksum of \(name)",
                remedy: "remove the cache and try again")
        }
        debian.append((file, sum, package.label))
    }

    private mutating func checksums(of package: DebianPackage) throws -> [String: String] {
        if let known = sums[package.label] { return known }
        let read = try package.checksums()
        sums[package.label] = read
        return read
    }

    /// Adds everything below `folder` at the same place in the guest, executable where it is here.
    mutating func add(tree folder: URL, origin: String) throws {
        let base = folder.resolvingSymlinksInPath().path
        guard let names = FileManager.default.enumerator(atPath: base) else {
            throw RigError(
                tried: "read \(base)", happened: "the folder is not there", remedy: "run from the project's root")
        }
        for case let name as String in names {
            let file = URL(fileURLWithPath: "\(base)/\(name)")
            guard try file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else { continue }
            let mode: UInt32 = FileManager.default.isExecutableFile(atPath: file.path) ? 0o755 : 0o644
            add("/\(name)", file: file, mode: mode, origin: origin)
        }
    }

    /// Compares every file of Debian's, as it is read into the image, with the checksum in its package.
    func verify() throws {
        let sums = try Checksum.of(debian.map(\.file), program: "md5sum")
        for (entry, sum) in zip(debian, sums) where entry.sum != sum {
            throw RigError(
                tried: "use \(entry.file.lastPathComponent) of \(entry.package)",
                happened: "it is not what the package's checksum says",
                remedy: "remove the cache, since something changed it, and try again")
        }
    }

    /// Size, checksum and origin of every entry.
    func manifest() throws -> ImageManifest {
        let entries = archive.sorted
        let files = entries.compactMap { entry in if case .file(let url) = entry.node { url } else { nil } }
        var sums = try Checksum.of(files, program: "sha256sum")[...]
        return ImageManifest(
            entries: try entries.map { entry in
                var size = 0
                var sum: String?
                if case .file(let url) = entry.node {
                    size = try url.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0
                    sum = sums.popFirst()
                }
                return ImageManifest.Entry(
                    path: "/" + entry.path, mode: entry.mode, size: size, sha256: sum,
                    origin: origins[entry.path] ?? "ringway")
            })
    }

    private static func key(_ path: String) -> String { path.split(separator: "/").joined(separator: "/") }
}

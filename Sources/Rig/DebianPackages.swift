// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A package of Debian's, downloaded and unpacked below the cache.
struct DebianPackage: Sendable {
    let package: PackageVersion
    /// The package's files.
    let files: URL
    /// Its control data, `md5sums` among it.
    let control: URL

    /// `usbip 2.0+6.1.192-2`
    var label: String { "\(package.name) \(package.version)" }

    /// The package's own checksum of each of its files, by path without the leading slash.
    func checksums() throws -> [String: String] {
        let text = try String(contentsOf: control.appendingPathComponent("md5sums"), encoding: .utf8)
        return Self.parseChecksums(text)
    }

    static func parseChecksums(_ text: String) -> [String: String] {
        var sums: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let space = line.firstIndex(of: " ") else { continue }
            sums[line[space...].drop { $0 == " " }.description] = String(line[..<space])
        }
        return sums
    }
}

/// Debian's packages for one architecture: chosen, downloaded and unpacked without installing any.
struct DebianPackages {
    let architecture: GuestArchitecture
    private let cache: URL
    private let apt: AptState
    private let progress: Progress

    /// Fetches the package lists where there are none or they are old.
    init(architecture: GuestArchitecture, cache: URL, progress: Progress) throws {
        self.architecture = architecture
        self.cache = cache
        self.progress = progress
        apt = AptState(folder: cache.appendingPathComponent("apt-\(architecture.debian)"), architecture: architecture)
        try apt.prepare(sources: .ofThisMachine(), progress: progress)
    }

    /// The kernel to use: see `KernelChoice.newest`.
    func kernel() throws -> KernelChoice {
        let images = try apt.query("apt-cache", ["pkgnames", "linux-image-"])
        let candidates = KernelChoice.candidates(names: images.split(separator: "\n"), architecture: architecture)
        let headers = candidates.flatMap { image -> [String] in
            let release = image.dropFirst("linux-image-".count)
            return ["linux-headers-\(release)", "linux-headers-\(release.dropLast(architecture.debian.count))common"]
        }
        let kbuild = try apt.query("apt-cache", ["pkgnames", "linux-kbuild-"])
            .split(separator: "\n").map(String.init).sorted()
        let stanzas = try show([KernelChoice.metapackage(architecture)] + candidates + headers + kbuild)
        guard let choice = KernelChoice.newest(stanzas: stanzas, architecture: architecture) else {
            throw RigError(
                tried: "choose a kernel among \(candidates.count) images for \(architecture.debian)",
                happened: "none has headers, common headers and build tools of its own version",
                remedy: "check the package sources of this machine, or name others in \(AptSources.override)")
        }
        return choice
    }

    /// The version that apt would install of `name`.
    func candidate(_ name: String) throws -> PackageVersion {
        guard let stanza = try show([name]).first else {
            throw RigError(
                tried: "find the package \(name) for \(architecture.debian)", happened: "the package lists have none",
                remedy: "check the package sources of this machine, or name others in \(AptSources.override)")
        }
        return PackageVersion(name: name, version: stanza.version)
    }

    /// `names` and everything that they depend on.
    func closure(of names: [String]) throws -> [PackageVersion] {
        let arguments = ["--simulate", "--no-install-recommends", "install"] + names
        return AptSimulation.parse(try apt.query("apt-get", arguments))
    }

    /// Downloads and unpacks what the cache lacks.
    func fetch(_ wanted: [PackageVersion]) throws -> [DebianPackage] {
        let archives = cache.appendingPathComponent("archives")
        let partial = cache.appendingPathComponent("partial")
        try? FileManager.default.removeItem(at: partial)
        for folder in [archives, partial] {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        }
        let missing = try wanted.filter { try archive(of: $0, in: archives) == nil }
        if !missing.isEmpty {
            let what = missing.count == 1 ? missing[0].name : "\(missing.count) packages"
            try progress.step("download \(what) (\(architecture.debian))") {
                let names = missing.map { "\($0.name)=\($0.version)" }
                try apt.apt("apt-get", ["download"] + names, directory: partial, timeLimit: .seconds(900))
                // Only what apt has finished and checked gets its place: an interrupted download leaves nothing.
                for name in try FileManager.default.contentsOfDirectory(atPath: partial.path) {
                    let source = partial.appendingPathComponent(name)
                    try FileManager.default.moveItem(at: source, to: archives.appendingPathComponent(name))
                }
            }
        }
        return try wanted.map { try unpack($0, archives: archives) }
    }

    private func show(_ names: [String]) throws -> [PackageStanza] {
        PackageStanza.parse(
            try apt.query("apt-cache", ["show", "--no-all-versions"] + names, mayFail: true))
    }

    private func archive(of package: PackageVersion, in archives: URL) throws -> URL? {
        // apt writes the epoch's colon as %3a.
        let stem = "\(package.name)_\(package.version.replacingOccurrences(of: ":", with: "%3a"))"
        for suffix in [architecture.debian, "all"] {
            let url = archives.appendingPathComponent("\(stem)_\(suffix).deb")
            if FileManager.default.fileExists(atPath: url.path) { return url }
        }
        return nil
    }

    private func unpack(_ package: PackageVersion, archives: URL) throws -> DebianPackage {
        guard let archive = try archive(of: package, in: archives) else {
            throw RigError(
                tried: "unpack \(package.name) \(package.version)",
                happened: "the download left no such file in \(archives.path)",
                remedy: "remove that folder and try again")
        }
        let stem = archive.deletingPathExtension().lastPathComponent
        let folder = cache.appendingPathComponent("unpacked/\(stem)")
        try Cache.produce(folder) { new in
            let files = new.appendingPathComponent("files").path
            try HostCommand("dpkg-deb", ["-x", archive.path, files], timeLimit: .seconds(300)).check()
            try HostCommand("dpkg-deb", ["-e", archive.path, new.appendingPathComponent("control").path]).check()
        }
        return DebianPackage(
            package: package, files: folder.appendingPathComponent("files"),
            control: folder.appendingPathComponent("control"))
    }
}

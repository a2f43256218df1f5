// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A guest's initramfs: Debian's kernel modules and busybox, Ringway, and unless it is bare Debian's `usbip` and
/// `usbipd`.
public struct GuestImage {
    /// Downloads what is missing, builds the kernel module, and writes the image.
    public static func build(_ request: ImageRequest, progress: Progress) throws -> BuiltImage {
        do {
            return try Cache.exclusively(request.cache, progress: progress) {
                let image = try GuestImage(request, progress: progress)
                return try progress.step("image \(request.output.lastPathComponent)") { try image.write() }
            }
        } catch let error where !(error is RigError) {
            // Foundation's own, for a file that cannot be read or written.
            throw RigError(
                tried: "build the image \(request.output.path)", happened: "\(error)",
                remedy: "check the room on the disk and who may write \(request.cache.path)")
        }
    }

    private let request: ImageRequest
    private let packages: [DebianPackage]
    private let tree: KernelTree
    private let module: URL

    /// Makes everything there that the image is put together from.
    private init(_ request: ImageRequest, progress: Progress) throws {
        self.request = request
        let debian = try DebianPackages(
            architecture: request.architecture, cache: request.cache, progress: progress)
        var names = ["busybox-static"] + request.packageFiles.map(\.package)
        if request.kind == .stock { names.append("usbip") }
        packages = try debian.fetch(debian.closure(of: names))
        tree = try KernelTree(packages: debian, cache: request.cache, progress: progress)
        module = try tree.build(
            module: "ringway_uio", source: request.root.appendingPathComponent("kernel/ringway_uio"),
            cache: request.cache, progress: progress)
    }

    private func write() throws -> BuiltImage {
        let staging = request.output.appendingPathExtension("staging")
        let files = FileManager.default
        try? files.removeItem(at: staging)
        try files.createDirectory(at: staging, withIntermediateDirectories: true)
        defer { try? files.removeItem(at: staging) }
        let contents = try contents(staging: staging)
        try contents.verify()
        let manifest = try contents.manifest()
        guard request.isOnDisk else {
            try pack(contents, staging: staging)
            return try result(manifest, unpacked: manifest)
        }
        let disk = staging.appendingPathComponent("root.ext4")
        try DiskImage.write(contents.archive, to: disk, staging: staging)
        try place(disk, at: request.disk)
        let starter = try starter(staging: staging.appendingPathComponent("starter"))
        try starter.verify()
        try pack(starter, staging: staging)
        return try result(manifest, unpacked: try starter.manifest())
    }

    private func pack(_ contents: ImageContents, staging: URL) throws {
        let plain = staging.appendingPathComponent("image.cpio")
        let packed = staging.appendingPathComponent("image.cpio.gz")
        try contents.archive.write(to: plain)
        try HostCommand("gzip", ["-n", "-6", "-c"], input: plain, output: packed, timeLimit: .seconds(600)).check()
        try place(packed, at: request.output)
    }

    /// Renamed at the end: a guest never boots half an image.
    private func place(_ file: URL, at target: URL) throws {
        guard rename(file.path, target.path) == 0 else {
            throw RigError(
                tried: "write \(target.path)", happened: String(cString: strerror(errno)),
                remedy: "check that the folder may be written and that there is room on the disk")
        }
    }

    /// - Parameter unpacked: what the initramfs holds.
    private func result(_ manifest: ImageManifest, unpacked: ImageManifest) throws -> BuiltImage {
        func size(_ url: URL) throws -> Int { try url.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0 }
        let estimate = MemoryEstimate(
            fileSizes: unpacked.entries.map(\.size), compressedSize: try size(request.output),
            kernel: try KernelFootprint(kernel: tree.kernel, architecture: request.architecture))
        return BuiltImage(
            url: request.output, disk: request.isOnDisk ? request.disk : nil, kernel: tree.kernel,
            kernelRelease: tree.release, kernelPackage: tree.image, compressedSize: estimate.compressedSize,
            unpackedSize: estimate.unpackedSize, memoryNeeded: estimate.memoryNeeded, manifest: manifest)
    }

    /// The initramfs of a guest whose root lies on a disk: Debian's kernels have drivers of disks, and ext4, as
    /// modules.
    private func starter(staging: URL) throws -> ImageContents {
        var contents = ImageContents(staging: staging)
        try contents.add(tree: request.root.appendingPathComponent("vm-configs/starter"), origin: "ringway")
        try addBusybox(to: &contents)
        let modules = GuestModules.starter + request.extraModules
        try GuestModules.add(
            modules, own: [], tree: tree, staging: staging.appendingPathComponent("modules"), to: &contents)
        let list = Data((modules.joined(separator: "\n") + "\n").utf8)
        try contents.add("/etc/modules", data: list, mode: 0o644, origin: "ringway")
        return contents
    }

    private func contents(staging: URL) throws -> ImageContents {
        var contents = ImageContents(staging: staging)
        try contents.add(tree: request.root.appendingPathComponent("vm-configs/guest"), origin: "ringway")
        try addPrograms(to: &contents)
        try addModules(to: &contents, staging: staging)
        try addRingway(to: &contents)
        for file in request.extraFiles {
            switch file.content {
            case .file(let url): contents.add(file.path, file: url, mode: UInt32(file.mode), origin: "extra")
            case .data(let data):
                try contents.add(file.path, data: data, mode: UInt32(file.mode), origin: "extra")
            }
        }
        if request.ballastBytes > 0 {
            let ballast = staging.appendingPathComponent("ballast")
            try Self.fill(ballast, bytes: request.ballastBytes)
            contents.add("/ballast", file: ballast, mode: 0o444, origin: "ballast")
        }
        return contents
    }

    private func addBusybox(to contents: inout ImageContents) throws {
        let busybox = try package("busybox-static")
        try contents.add("/usr/bin/busybox", file: try file("bin/busybox", in: busybox), of: busybox, mode: 0o755)
        // What must be there before /init has made busybox's other names.
        contents.link("/usr/bin/sh", to: "busybox")
        contents.link("/usr/sbin/modprobe", to: "../bin/busybox")
    }

    private func addPrograms(to contents: inout ImageContents) throws {
        try addBusybox(to: &contents)
        var files = request.packageFiles
        if request.kind == .stock {
            files += ["/usr/sbin/usbip", "/usr/sbin/usbipd"].map { PackageFile(package: "usbip", path: $0) }
            files.append(PackageFile(package: "usb.ids", path: "/usr/share/misc/usb.ids"))
        }
        var programs: [URL] = []
        for wanted in files {
            let package = try package(wanted.package)
            let file = try file(String(wanted.path.dropFirst()), in: package)
            let isProgram = try ElfFile(reading: file) != nil
            try contents.add(wanted.path, file: file, of: package, mode: isProgram ? 0o755 : 0o644)
            if isProgram { programs.append(file) }
        }
        try addLibraries(of: programs, to: &contents)
    }

    private func addLibraries(of programs: [URL], to contents: inout ImageContents) throws {
        let multiarch = request.architecture.multiarch
        let folders = packages.flatMap { package in
            ["lib/\(multiarch)", "usr/lib/\(multiarch)"].map(package.files.appendingPathComponent)
        }
        let closure = try ElfClosure(of: programs, folders: folders, roots: packages.map(\.files))
        for (name, url) in closure.libraries {
            try contents.add("/usr/lib/\(multiarch)/\(name)", file: url, of: try owner(of: url), mode: 0o755)
        }
        for (path, url) in closure.interpreters {
            // Never through /lib64 or /lib, which are links in the image.
            try contents.add("/usr" + path, file: url, of: try owner(of: url), mode: 0o755)
        }
    }

    private func addModules(to contents: inout ImageContents, staging: URL) throws {
        let names =
            GuestModules.names(role: request.role, architecture: request.architecture) + request.extraModules
        try GuestModules.add(
            names, own: [module] + request.moduleFiles, tree: tree, staging: staging.appendingPathComponent("modules"),
            to: &contents)
        // Not in the image, but what boots it.
        try contents.mustMatch(tree.kernel, of: tree.image, named: "boot/\(tree.kernel.lastPathComponent)")
    }

    private func addRingway(to contents: inout ImageContents) throws {
        try contents.add(
            "/etc/ringway/ringway.conf", data: Data(request.configuration.utf8), mode: 0o644, origin: "ringway")
        try contents.add(
            "/etc/hostname", data: Data("\(request.role.rawValue)\n".utf8), mode: 0o644, origin: "ringway")
        guard let agent = request.agent else { return }
        var files = [("/usr/bin/ringway", agent.agent)]
        if request.kind == .stock { files.append(("/usr/lib/ringway/libringway-preload.so", agent.preload)) }
        for (path, url) in files {
            guard FileManager.default.fileExists(atPath: url.path) else {
                throw RigError(
                    tried: "put \(path) into an image", happened: "there is no \(url.path)",
                    remedy: "build the guest's binaries with `make guest`")
            }
            contents.add(path, file: url, mode: 0o755, origin: "ringway")
        }
        // What plays a peer that misbehaves; a scenario without one does not miss it.
        let peer = agent.agent.deletingLastPathComponent().appendingPathComponent("tests/uncooperative")
        if FileManager.default.fileExists(atPath: peer.path) {
            contents.add("/usr/lib/rig/uncooperative", file: peer, mode: 0o755, origin: "ringway")
        }
    }

    private func package(_ name: String) throws -> DebianPackage {
        guard let package = packages.first(where: { $0.package.name == name }) else {
            throw RigError(
                tried: "find \(name) among the downloaded packages", happened: "apt did not select it",
                remedy: "check the package sources of this machine")
        }
        return package
    }

    private func owner(of file: URL) throws -> DebianPackage {
        let path = file.resolvingSymlinksInPath().path
        guard let package = packages.first(where: { path.hasPrefix($0.files.resolvingSymlinksInPath().path + "/") })
        else {
            throw RigError(
                tried: "find the package of \(path)", happened: "none of the downloaded ones holds it",
                remedy: "remove the cache and try again")
        }
        return package
    }

    private func file(_ path: String, in package: DebianPackage) throws -> URL {
        if let file = RootedPath.find(path, below: package.files) { return file }
        throw RigError(
            tried: "find \(path) in \(package.label)", happened: "the package has no such file",
            remedy: "check whether the package's layout has changed")
    }

    /// A file of zeros: it takes its whole size once unpacked and next to nothing before.
    private static func fill(_ url: URL, bytes: Int) throws {
        guard FileManager.default.createFile(atPath: url.path, contents: nil), truncate(url.path, bytes) == 0 else {
            throw RigError(
                tried: "make a ballast of \(MemoryEstimate.mebibytes(bytes))",
                happened: String(cString: strerror(errno)), remedy: "check the room on the disk")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The processor of a guest, under the names that the project, Debian and the kernel give it.
public enum GuestArchitecture: String, Sendable, CaseIterable, Codable {
    case x86_64
    case aarch64

    /// Debian's name.
    public var debian: String { self == .x86_64 ? "amd64" : "arm64" }
    /// `ARCH=` of the kernel's build.
    var kernel: String { self == .x86_64 ? "x86_64" : "arm64" }
    /// The folder of shared libraries under /lib and /usr/lib.
    var multiarch: String { "\(rawValue)-linux-gnu" }
    /// The compiler prefix where this machine is of another architecture, else nothing.
    var crossPrefix: String { self == .host ? "" : "\(multiarch)-" }

    /// This machine's own.
    public static var host: GuestArchitecture {
        #if arch(arm64)
        .aarch64
        #else
        .x86_64
        #endif
    }
}

/// What a guest is for; decides the kernel modules of its image.
public enum GuestRole: String, Sendable, CaseIterable, Codable {
    /// Owns USB devices and exports them.
    case exporter
    /// Attaches them.
    case importer
}

/// A file that goes into an image besides its fixed part.
public struct GuestFile: Sendable {
    public enum Content: Sendable {
        case file(URL)
        case data(Data)
    }

    /// The absolute path in the guest.
    public var path: String
    public var content: Content
    public var mode: UInt16

    public init(path: String, content: Content, mode: UInt16 = 0o644) {
        self.path = path
        self.content = content
        self.mode = mode
    }

    /// A text file.
    public init(path: String, text: String, mode: UInt16 = 0o644) {
        self.init(path: path, content: .data(Data(text.utf8)), mode: mode)
    }
}

/// A file below `.build-guest/ARCH` that goes into an image.
struct BuiltFile: Sendable, Equatable {
    let name: String
    /// The absolute path in the guest.
    let path: String
}

/// A file of a Debian package that goes into an image; with its libraries where it is a program.
public struct PackageFile: Sendable, Equatable {
    let package: String
    /// The absolute path, in the package and in the guest.
    let path: String
}

/// The two guest binaries that `make guest` leaves in `.build-guest/<architecture>/`.
public struct AgentBinaries: Sendable {
    /// Becomes `/usr/bin/ringway`.
    public var agent: URL
    /// Becomes `/usr/lib/ringway/libringway-preload.so`.
    public var preload: URL

    public init(agent: URL, preload: URL) {
        self.agent = agent
        self.preload = preload
    }

    /// The pair in its usual place below the project's root.
    public init(root: URL, architecture: GuestArchitecture) {
        let folder = root.appendingPathComponent(".build-guest/\(architecture.rawValue)")
        self.init(
            agent: folder.appendingPathComponent("ringway"),
            preload: folder.appendingPathComponent("libringway-preload.so"))
    }
}

/// What an image is to hold and where it goes.
public struct ImageRequest: Sendable {
    /// The project's root: `kernel/ringway_uio` is built from there.
    public var root: URL
    /// Packages, trees and built modules, by version: kept between runs.
    public var cache: URL
    /// The image file to write.
    public var output: URL
    public var architecture: GuestArchitecture
    public var role: GuestRole
    public var kind: ImageKind
    /// The text of `/etc/ringway/ringway.conf`.
    public var configuration: String
    /// Nil builds an image without the agent and the preload library.
    public var agent: AgentBinaries?
    public var extraFiles: [GuestFile]
    /// Kernel modules beyond those of the role.
    public var extraModules: [String]
    /// Built modules, for the guest's kernel, that no package has.
    public var moduleFiles: [URL]
    public var packageFiles: [PackageFile]
    /// The root lies on a disk, and the image only starts it.
    public var isOnDisk: Bool
    /// Size of a file that does nothing but take room: for the scenario of the image that is too large.
    public var ballastBytes: Int

    /// - Parameter cache: `.build-rig/cache` below the root unless given, or named by `RINGWAY_RIG_CACHE`.
    public init(
        root: URL, output: URL, role: GuestRole, kind: ImageKind = .stock, configuration: String,
        agent: AgentBinaries?, architecture: GuestArchitecture = .x86_64, extraFiles: [GuestFile] = [],
        extraModules: [String] = [], moduleFiles: [URL] = [], packageFiles: [PackageFile] = [], isOnDisk: Bool = false,
        ballastBytes: Int = 0, cache: URL? = nil
    ) {
        self.root = root
        self.output = output
        self.role = role
        self.kind = kind
        self.configuration = configuration
        self.agent = agent
        self.architecture = architecture
        self.extraFiles = extraFiles
        self.extraModules = extraModules
        self.moduleFiles = moduleFiles
        self.packageFiles = packageFiles
        self.isOnDisk = isOnDisk
        self.ballastBytes = ballastBytes
        self.cache = cache ?? Self.defaultCache(root: root)
    }

    /// Where the disk of an image goes whose root lies on one.
    var disk: URL {
        let name = output.lastPathComponent
        let stem = name.hasSuffix(".cpio.gz") ? String(name.dropLast(".cpio.gz".count)) : name
        return output.deletingLastPathComponent().appendingPathComponent("\(stem).ext4")
    }

    static func defaultCache(root: URL) -> URL {
        if let path = ProcessInfo.processInfo.environment["RINGWAY_RIG_CACHE"], !path.isEmpty {
            return URL(fileURLWithPath: path)
        }
        return root.appendingPathComponent(".build-rig/cache")
    }
}

/// What an image holds besides the kernel's modules, busybox and the agent.
public enum ImageKind: String, Sendable, CaseIterable {
    /// Debian's `usbip` and `usbipd` with their libraries, and the library that leads them over the ring.
    case stock
    /// Nothing.
    case bare
}

/// An image that is ready to boot.
public struct BuiltImage: Sendable {
    /// The gzipped cpio archive: QEMU's `-initrd`.
    public let url: URL
    /// The disk with the root, unless the image itself is the root.
    public let disk: URL?
    /// QEMU's `-kernel`: Debian's, byte for byte.
    public let kernel: URL
    /// Debian's name of the kernel's version, as `uname -r` says it.
    public let kernelRelease: String
    /// What holds the kernel, and its checksum.
    let kernelPackage: DebianPackage
    public let compressedSize: Int
    /// What the files take once unpacked, in whole pages.
    public let unpackedSize: Int
    /// The memory, in bytes and a whole number of MiB, with which a guest unpacks this image and boots.
    public let memoryNeeded: Int
    /// Every file of the image, or of the disk where there is one.
    public let manifest: ImageManifest

    /// Throws where a guest with `memory` bytes could not unpack this image: the message names the memory that can.
    public func require(memory: Int) throws {
        guard memory < memoryNeeded else { return }
        throw RigError(
            tried: "boot \(url.lastPathComponent) with \(MemoryEstimate.mebibytes(memory)) of memory",
            happened: "it unpacks to \(MemoryEstimate.mebibytes(unpackedSize)), and the kernel lets an initramfs have "
                + "half of the memory: the guest would print \"Initramfs unpacking failed: write error\"",
            remedy: "give the guest \(MemoryEstimate.mebibytes(memoryNeeded)), or make the image smaller")
    }
}

/// What an image holds and where it came from.
public struct ImageManifest: Sendable, Codable, Equatable {
    public struct Entry: Sendable, Codable, Equatable {
        /// The absolute path in the guest.
        public let path: String
        public let mode: UInt32
        public let size: Int
        /// Of a regular file's content.
        public let sha256: String?
        /// Package and version of a file that is Debian's own, byte for byte; `ringway` of ours.
        public let origin: String
    }

    public let entries: [Entry]

    /// The entry at `path`.
    public subscript(path: String) -> Entry? { entries.first { $0.path == path } }
}

// SPDX-License-Identifier: Apache-2.0
import CShim

/// A section in this process's address space, for as long as this object lives.
public final class MappedSection {
    public let base: UnsafeMutableRawPointer
    /// Bytes from `base`.
    public let size: Int
    public let memoryType: MemoryType
    /// Where it lies, for people.
    public let description: String
    /// This process may write it; the peer's section never is.
    public let writable: Bool
    private let mapping: UnsafeMutableRawPointer
    private let mappedSize: Int
    private let watched: Bool
    /// A descriptor by which a part of it can be mapped, and where the section begins there; -1 where there is none.
    public let shared: Int32
    public let sharedOffset: Int

    /// Maps `source` whole or in part.
    /// - Parameters:
    ///   - writable: the own section is, the peer's is not.
    ///   - deviceRoot, sysfsRoot: where `/dev` and `/sys` are.
    public static func open(
        _ specification: SectionSpecification, writable: Bool, sysfsRoot: String = "/sys", deviceRoot: String = "/dev",
        isShared: Bool = false
    ) throws(TransportError) -> MappedSection {
        let source: MappingSource
        let place = specification.place
        let number = specification.number
        switch specification.backend {
        case .file: source = try FileBackend.open(place, writable: writable)
        case .uio: source = try UIOBackend.open(place, map: Int(number), sysfsRoot: sysfsRoot, deviceRoot: deviceRoot)
        case .pci:
            source = try PCIBackend.open(
                place, bar: Int(number), writeCombining: specification.writeCombining, writable: writable,
                sysfsRoot: sysfsRoot)
        case .physical:
            source = try PhysicalBackend.open(
                address: number, offset: specification.offset, size: specification.size ?? 0, writable: writable,
                deviceRoot: deviceRoot)
        }
        // Of a file only: /dev/mem is more than a section, and a device's resources are not cached.
        let isKept = isShared && specification.backend == .file
        defer { if !isKept { close(source.descriptor) } }
        return try MappedSection(specification, source, writable, isKept)
    }

    private init(
        _ specification: SectionSpecification, _ source: MappingSource, _ writable: Bool, _ isKept: Bool
    ) throws(TransportError) {
        let offset = specification.offset
        let size = specification.size ?? source.size - offset
        guard size > 0, offset < source.size, size <= source.size - offset else {
            throw TransportError(
                .tooSmall,
                "mapping \(specification.text): offset \(offset) and size \(max(size, 0)) do not fit into its "
                    + "\(source.size) bytes; enlarge it, or correct offset= and size=")
        }
        // A UIO map has one page offset, its number: it is mapped from its start, and the part before the
        // section is given back.
        let before = source.mapsOnlyWhole ? offset : 0
        let fileOffset = source.mapsOnlyWhole ? source.fileOffset : source.fileOffset + offset
        let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
        let mapping = mmap(nil, before + size, protection, MAP_SHARED, source.descriptor, off_t(fileOffset))
        guard let mapping, mapping != cs_map_failed() else {
            throw TransportError.system(
                .io, "mapping \(specification.text)", cs_errno(),
                "check that no driver claims it, and run as root")
        }
        if before > 0 { munmap(mapping, before) }
        base = mapping + before
        self.mapping = base
        mappedSize = size
        self.size = size
        // Told only once it is mapped: the processor's tables decide.
        let told = source.cachedIfNamed.isEmpty ? "" : SysfsFile.line(source.cachedIfNamed) ?? ""
        memoryType = told == UIOBackend.cachedName ? .cached : source.memoryType
        description = specification.text
        self.writable = writable
        watched = source.canShrink
        shared = isKept ? source.descriptor : -1
        sharedOffset = fileOffset
        if watched, cs_watch_range(base, size) != 0 {
            throw TransportError.system(.io, "watching \(specification.text) for truncation", cs_errno())
        }
    }

    deinit {
        if watched { cs_unwatch_range(base) }
        munmap(mapping, mappedSize)
        if shared >= 0 { close(shared) }
    }

    /// How often the file behind the section turned out to be truncated (SIGBUS); zeros are mapped there since.
    public var faults: UInt32 { watched ? cs_watched_faults(base) : 0 }
}

/// Something that can be mapped.
final class MappingSource {
    let descriptor: Int32
    /// Bytes that can be mapped, from `fileOffset` on.
    let size: Int
    let fileOffset: Int
    /// The offset is a number of the device's, not a position: parts cannot be mapped.
    let mapsOnlyWhole: Bool
    let memoryType: MemoryType
    /// The file of sysfs that says whether the mapping is cached after all.
    let cachedIfNamed: String
    /// A file that can be truncated under the mapping.
    let canShrink: Bool

    init(
        descriptor: Int32, size: Int, memoryType: MemoryType, fileOffset: Int = 0, mapsOnlyWhole: Bool = false,
        cachedIfNamed: String = "", canShrink: Bool = false
    ) {
        self.descriptor = descriptor
        self.size = size
        self.memoryType = memoryType
        self.fileOffset = fileOffset
        self.mapsOnlyWhole = mapsOnlyWhole
        self.cachedIfNamed = cachedIfNamed
        self.canShrink = canShrink
    }
}

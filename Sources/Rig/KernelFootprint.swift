// SPDX-License-Identifier: Apache-2.0
import Foundation

/// How much memory a kernel takes for itself, as its image tells it.
struct KernelFootprint: Equatable, Sendable {
    /// Bytes that are no free memory when the root is mounted, whatever the size of the machine.
    let reserved: Int
    /// For each 128 MiB, of which the table of pages is allocated whole, 2 MiB, and what else grows with them: on arm64
    /// the page tables of the kernel's own mapping of its memory, too, which it makes of small pages.
    let sectionCost: Int
    /// With more memory than this, a part lies above 4 GiB, and the kernel sets bounce buffers aside.
    let bounceFrom: Int

    init(reserved: Int, architecture: GuestArchitecture) {
        self.reserved = reserved
        switch architecture {
        case .x86_64: (sectionCost, bounceFrom) = (2240 << 10, 2 << 30)
        // Memory begins at 1 GiB.
        case .aarch64: (sectionCost, bounceFrom) = (2600 << 10, 3 << 30)
        }
    }

    /// Below 1 MiB, PCs have holes.
    private static let holes = 520 << 10
    /// What Debian's arm64 kernel keeps for devices that want contiguous memory (CONFIG_CMA_SIZE_MBYTES); free for
    /// everybody else later, but not yet when the root is mounted. With less than twice that it finds no room for it
    /// and goes without: that is not counted on.
    private static let contiguous = 64 << 20

    init(kernel: URL, architecture: GuestArchitecture) throws {
        let handle = try FileHandle(forReadingFrom: kernel)
        defer { try? handle.close() }
        let header = try handle.read(upToCount: 0x268) ?? Data()
        guard let footprint = Self(header: header, architecture: architecture) else {
            throw RigError(
                tried: "read the size of the kernel \(kernel.path)", happened: "it does not begin as a kernel does",
                remedy: "remove the cache and try again")
        }
        self = footprint
    }

    /// Reads the boot header: Documentation/x86/boot.rst and Documentation/arm64/booting.rst of the kernel.
    init?(header: Data, architecture: GuestArchitecture) {
        func number(at offset: Int) -> Int? {
            guard header.count >= offset + 4 else { return nil }
            return (0..<4).reduce(0) { $0 | Int(header[header.startIndex + offset + $1]) << (8 * $1) }
        }
        let reserved: Int
        switch architecture {
        case .x86_64:
            // init_size is what the kernel needs until it can look at a memory map. A part of that is room to unpack
            // itself in; the rest, with what it allocates before it counts its memory, is seven eighths: measured.
            guard number(at: 0x202) == 0x5372_6448, let initSize = number(at: 0x260) else { return nil }
            reserved = Self.holes + initSize / 8 * 7
        case .aarch64:
            // image_size is exact; what else is allocated before the memory is counted takes a little more.
            guard number(at: 56) == 0x644d_5241, let imageSize = number(at: 16) else { return nil }
            reserved = Self.contiguous + imageSize + (1280 << 10)
        }
        self.init(reserved: reserved, architecture: architecture)
    }
}

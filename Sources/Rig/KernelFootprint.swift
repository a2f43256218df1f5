// SPDX-License-Identifier: Apache-2.0
import Foundation

/// How much memory a kernel takes for itself, as its image tells it.
struct KernelFootprint: Equatable, Sendable {
    /// Bytes that never become free memory, whatever the size of the machine.
    let reserved: Int

    init(reserved: Int) { self.reserved = reserved }

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
        switch architecture {
        case .x86_64:
            // init_size is what the kernel needs until it can look at a memory map. A part of that is room to unpack
            // itself in; the rest, with what it allocates before it counts its memory, is seven eighths: measured.
            guard number(at: 0x202) == 0x5372_6448, let initSize = number(at: 0x260) else { return nil }
            reserved = initSize / 8 * 7
        case .aarch64:
            // image_size is exact; the allowance is for what is allocated before the memory is counted.
            guard number(at: 56) == 0x644d_5241, let imageSize = number(at: 16) else { return nil }
            reserved = imageSize + (16 << 20)
        }
    }
}

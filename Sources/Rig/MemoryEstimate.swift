// SPDX-License-Identifier: Apache-2.0

/// How much memory a guest needs to unpack an initramfs and boot.
///
/// An initramfs is unpacked into a tmpfs, which may hold half of the memory that the kernel counts when it mounts
/// it. Not counted are the kernel itself, its table of pages, and the compressed image, which lies in memory until
/// it is unpacked. What does not fit ends in "Initramfs unpacking failed: write error", and often in a guest
/// without an init. (A kernel that is told `root=` uses a ramfs without a limit; the rig never tells it.)
///
/// Measured on Debian's 6.1 kernel, x86_64 from 96 MiB to 3 GiB and arm64 from 224 MiB to 5 GiB: the limit that the
/// guest shows in /proc/mounts is at most 0.6 MiB above the one predicted here, up to 3 GiB.
struct MemoryEstimate: Equatable, Sendable {
    let compressedSize: Int
    /// What the files take in a tmpfs: whole pages.
    let unpackedSize: Int
    private let entries: Int
    private let kernel: KernelFootprint

    static let page = 4096
    private static let section = 128 << 20
    private static let bounceBuffers = 68 << 20
    /// What a kernel allocates until the first program runs and its initialisation code is given back, and what the
    /// programs need at least.
    private static let residency = 32 << 20
    /// What /init makes in the root, and the error of the prediction.
    private static let slack = 1 << 20
    /// Needs are named in steps.
    static let step = 4 << 20

    /// - Parameter fileSizes: one number for each entry of the archive, 0 for what is no regular file.
    init(fileSizes: [Int], compressedSize: Int, kernel: KernelFootprint) {
        self.compressedSize = compressedSize
        self.kernel = kernel
        entries = fileSizes.count
        unpackedSize = fileSizes.reduce(0) { $0 + ($1 + Self.page - 1) / Self.page * Self.page }
    }

    /// What the kernel counts as its memory on a machine with `memory` bytes when it mounts the root.
    func counted(memory: Int) -> Int {
        let sections = (memory + Self.section - 1) / Self.section
        let bounce = memory > kernel.bounceFrom ? Self.bounceBuffers : 0
        return memory - kernel.reserved - sections * kernel.sectionCost - bounce - compressedSize
    }

    /// What the root file system may hold on a machine with `memory` bytes.
    func rootLimit(memory: Int) -> Int { max(0, counted(memory: memory) / 2) }

    /// Whether a machine with `memory` bytes unpacks the image and boots.
    func fits(memory: Int) -> Bool {
        // There are as many inodes as pages.
        let needed = max(unpackedSize, entries * Self.page)
        return rootLimit(memory: memory) >= needed + Self.slack
            && counted(memory: memory) >= needed + Self.residency
    }

    /// The least memory, in steps, that fits.
    var memoryNeeded: Int {
        var memory = Self.step
        while !fits(memory: memory) { memory += Self.step }
        return memory
    }

    /// `64 MiB`, rounded up.
    static func mebibytes(_ bytes: Int) -> String { "\((bytes + (1 << 20) - 1) >> 20) MiB" }
}

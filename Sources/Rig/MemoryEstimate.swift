// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What a kernel keeps for itself.
struct KernelFootprint {
    init(kernel: URL, architecture: GuestArchitecture) throws {}
}
/// How much memory a guest needs to unpack an initramfs and boot.
struct MemoryEstimate {
    let compressedSize: Int
    let unpackedSize: Int
    var memoryNeeded: Int { 256 << 20 }
    init(fileSizes: [Int], compressedSize: Int, kernel: KernelFootprint) {
        self.compressedSize = compressedSize
        unpackedSize = fileSizes.reduce(0) { $0 + ($1 + 4095) / 4096 * 4096 }
    }
    /// `64 MiB`, rounded up.
    static func mebibytes(_ bytes: Int) -> String { "\((bytes + (1 << 20) - 1) >> 20) MiB" }
}

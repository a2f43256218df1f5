// SPDX-License-Identifier: Apache-2.0

/// How much memory a guest needs to unpack an initramfs and boot.
public struct MemoryEstimate {
    /// `64 MiB`, rounded up.
    public static func mebibytes(_ bytes: Int) -> String { "\((bytes + (1 << 20) - 1) >> 20) MiB" }
}

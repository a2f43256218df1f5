// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A guest's initramfs: Debian's kernel modules, busybox, `usbip` and `usbipd`, and Ringway.
public struct GuestImage {
    /// Downloads what is missing, builds the kernel module, and writes the image.
    public static func build(_ request: ImageRequest, progress: Progress) throws -> BuiltImage {
        throw RigError(tried: "build an image", happened: "not written yet", remedy: "wait")
    }
}

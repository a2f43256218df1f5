// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Rig

@Suite struct MemoryEstimateTests {
    /// Debian's 6.1 kernel for x86_64.
    private static let kernel = KernelFootprint(
        reserved: 520 * 1024 + 65_120 * 1024 / 8 * 7, architecture: .x86_64)

    private func estimate(_ sizes: [Int], compressed: Int = 0) -> MemoryEstimate {
        MemoryEstimate(fileSizes: sizes, compressedSize: compressed, kernel: Self.kernel)
    }

    @Test func filesTakeWholePages() {
        #expect(estimate([0, 1, 4096, 4097]).unpackedSize == 4 * 4096)
    }

    /// What guests showed in /proc/mounts as the size of their root, for an image of 4676 KiB; the last, of 6098 KiB.
    @Test(
        arguments: [
            (128, 4676, 33_608), (256, 4676, 98_024), (512, 4676, 226_856), (1024, 4676, 484_520),
            (2048, 4676, 999_848), (3072, 6098, 1_480_544),
        ])
    func theLimitIsWhatGuestsShowed(mebibytes: Int, compressed: Int, shown: Int) {
        let limit = estimate([], compressed: compressed << 10).rootLimit(memory: mebibytes << 20) >> 10
        #expect(limit <= shown, "the rig would boot what does not unpack")
        #expect(shown - limit <= 2048, "the rig would refuse what does")
    }

    /// The same of Debian's 6.1 kernel for arm64, for an image of 4491 KiB.
    @Test(
        arguments: [
            (224, 60_156), (256, 76_508), (320, 107_996), (408, 151_940), (512, 205_084), (768, 333_468),
            (1024, 462_236), (2048, 976_536), (3072, 1_490_072), (5120, 2_483_988),
        ])
    func theLimitIsWhatArm64GuestsShowed(mebibytes: Int, shown: Int) throws {
        let header = KernelFootprintTests.header([56: 0x644d_5241, 16: 0x0201_0000])
        let kernel = try #require(KernelFootprint(header: header, architecture: .aarch64))
        let estimate = MemoryEstimate(fileSizes: [], compressedSize: 4491 << 10, kernel: kernel)
        let limit = estimate.rootLimit(memory: mebibytes << 20) >> 10
        #expect(limit <= shown, "the rig would boot what does not unpack")
        #expect(shown - limit <= 2048, "the rig would refuse what does")
    }

    @Test(arguments: [0, 1 << 20, 13 << 20, 94 << 20, 300 << 20, 600 << 20, 1500 << 20])
    func theMemoryNamedFitsAndOneStepLessDoesNot(size: Int) {
        let estimate = estimate([size], compressed: size / 3)
        let needed = estimate.memoryNeeded
        #expect(needed % MemoryEstimate.step == 0)
        #expect(estimate.fits(memory: needed))
        #expect(!estimate.fits(memory: needed - MemoryEstimate.step))
    }

    @Test func aSmallImageStillNeedsRoomForTheKernel() {
        #expect(estimate([4096]).memoryNeeded >= 88 << 20)
    }

    @Test func manyEmptyFilesNeedInodes() {
        #expect(estimate(Array(repeating: 0, count: 50_000)).memoryNeeded > estimate([]).memoryNeeded)
    }

    @Test func theCompressedImageCountsToo() {
        #expect(estimate([64 << 20], compressed: 60 << 20).memoryNeeded >= estimate([64 << 20]).memoryNeeded + 56 << 20)
    }

    @Test func anImageIsRefusedWithTheMemoryThatItNeeds() throws {
        let image = BuiltImage(
            url: URL(fileURLWithPath: "/tmp/fat.img"), disk: nil, kernel: URL(fileURLWithPath: "/boot/vmlinuz"),
            kernelRelease: "6.1.0-1-amd64",
            kernelPackage: DebianPackage(
                package: PackageVersion(name: "linux-image-6.1.0-1-amd64", version: "6.1.1-1"),
                files: URL(fileURLWithPath: "/tmp/files"), control: URL(fileURLWithPath: "/tmp/control")),
            compressedSize: 5 << 20, unpackedSize: 97 << 20,
            memoryNeeded: 256 << 20, manifest: ImageManifest(entries: []))
        try image.require(memory: 256 << 20)
        let error = #expect(throws: RigError.self) { try image.require(memory: 255 << 20) }
        #expect(error?.tried == "boot fat.img with 255 MiB of memory")
        #expect(error?.happened.contains("unpacks to 97 MiB") == true)
        #expect(error?.remedy.contains("give the guest 256 MiB") == true)
    }
}

@Suite struct KernelFootprintTests {
    static func header(_ words: [Int: UInt32]) -> Data {
        var data = Data(count: 0x268)
        for (offset, word) in words {
            for byte in 0..<4 { data[offset + byte] = UInt8(truncatingIfNeeded: word >> (8 * byte)) }
        }
        return data
    }

    @Test func x86() {
        let data = Self.header([0x202: 0x5372_6448, 0x260: 64 << 20])
        #expect(KernelFootprint(header: data, architecture: .x86_64)?.reserved == (56 << 20) + (520 << 10))
        #expect(KernelFootprint(header: data, architecture: .aarch64) == nil)
    }

    @Test func arm64() {
        let data = Self.header([56: 0x644d_5241, 16: 32 << 20])
        #expect(KernelFootprint(header: data, architecture: .aarch64)?.reserved == (97 << 20) + (256 << 10))
    }

    @Test func whatIsNoKernelHasNone() {
        #expect(KernelFootprint(header: Data(), architecture: .x86_64) == nil)
        #expect(KernelFootprint(header: Data(count: 0x268), architecture: .aarch64) == nil)
    }
}

// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
//
// The ordinary build: tests, the rig, and the agent as a host program. What runs in a guest is
// compiled a second time as Embedded Swift by `make guest` (mk/guest.mk) from the same sources.
import PackageDescription

let package = Package(
    name: "ringway",
    products: [
        .executable(name: "ringway", targets: ["ringway"]),
        .executable(name: "ringway-rig", targets: ["ringway-rig"]),
        .executable(name: "ringway-bench", targets: ["RingBench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        .target(name: "CShim"),
        .target(name: "RingBuffer", dependencies: ["CShim"]),
        .target(name: "RingTransport", dependencies: ["RingBuffer", "CShim"]),
        .target(name: "USBIP"),
        .target(name: "GuestAgent", dependencies: ["USBIP", "RingTransport", "RingBuffer", "CShim"]),
        .executableTarget(name: "ringway", dependencies: ["GuestAgent"]),
        .systemLibrary(name: "Clibelf", pkgConfig: "libelf", providers: [.apt(["libelf-dev"])]),
        .target(name: "Rig", dependencies: ["BenchReport", "Clibelf", "CShim"]),
        .executableTarget(
            name: "ringway-rig",
            dependencies: ["Rig", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
        .target(name: "BenchReport"),
        .target(name: "CBench"),
        // Optimised in every build, since it measures.
        .executableTarget(
            name: "RingBench",
            dependencies: [
                "BenchReport", "CBench", "RingBuffer", "USBIP", "CShim",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: [.unsafeFlags(["-O"])]),
        .target(name: "CTestShim", path: "Tests/CTestShim"),
        .target(name: "TestSupport", dependencies: ["CShim", "CTestShim"], path: "Tests/TestSupport"),
        // The other process of the ring's tests. Optimised in every build: it is stepped instruction by instruction.
        .executableTarget(
            name: "RingPeer", dependencies: ["RingBuffer", "CShim", "CTestShim", "TestSupport"],
            path: "Tests/RingPeer", swiftSettings: [.unsafeFlags(["-O"])]),
        // What a peer that was taken over can do, against a real agent (mk/tests/hostile.sh).
        .executableTarget(
            name: "HostilePeer", dependencies: ["RingTransport", "RingBuffer", "CShim", "CTestShim", "TestSupport"],
            path: "Tests/HostilePeer"),
        // What an operation of the ring costs in instructions, and the same in C (mk/tests/instructions.sh).
        .target(name: "CRing", path: "Tests/CRing"),
        .executableTarget(name: "RingCount", dependencies: ["RingBuffer", "CShim", "CRing"], path: "Tests/RingCount"),
        .testTarget(name: "RingBufferTests", dependencies: ["RingBuffer", "CShim", "TestSupport", "RingPeer"]),
        .testTarget(name: "RingTransportTests", dependencies: ["RingTransport", "TestSupport"]),
        .testTarget(name: "USBIPTests", dependencies: ["USBIP", "TestSupport"], exclude: ["Recordings"]),
        .testTarget(name: "GuestAgentTests", dependencies: ["GuestAgent", "TestSupport"]),
        .testTarget(name: "RigTests", dependencies: ["Rig", "BenchReport", "TestSupport"]),
        // The preload library itself is no target: what it replaces must not reach a test program.
        .testTarget(
            name: "SocketShimTests", dependencies: ["CShim", "CTestShim", "TestSupport"], exclude: ["Probe"]),
        .testTarget(name: "BenchReportTests", dependencies: ["BenchReport"]),
        .testTarget(
            name: "RingBenchTests", dependencies: ["RingBench", "CBench", "RingBuffer", "CShim", "TestSupport"],
            exclude: ["Peer"]),
        .testTarget(name: "HouseRulesTests"),
    ],
    swiftLanguageModes: [.v6]
)

// SPDX-License-Identifier: Apache-2.0
import CShim

/// SplitMix64: small, seedable, the same everywhere.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(_ seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// What the environment says of this test run.
public enum TestRun {
    /// `RINGWAY_TEST_LONG` asks for every number in full.
    public static let isLong = getenv("RINGWAY_TEST_LONG") != nil

    /// The seed of everything random in this run: `RINGWAY_TEST_SEED`, or a new one. A test that uses it
    /// prints it, so that a failure can be run again.
    public static let seed: UInt64 = {
        if let given = getenv("RINGWAY_TEST_SEED"), let seed = UInt64(String(cString: given)) { return seed }
        var seed: UInt64 = 0
        getrandom(&seed, MemoryLayout<UInt64>.size, 0)
        // Short enough to be typed.
        return seed & 0xFFFF_FFFF
    }()
}

// SPDX-License-Identifier: Apache-2.0

/// How long round trips took: how many of them ended in each bucket of an HdrHistogram's (Tene, "HdrHistogram: A High
/// Dynamic Range Histogram", with 7 bits a step: no value is off by more than 1 in 128).
struct LatencyProfile: Codable, Equatable {
    private static let bits = 7

    private(set) var counts: [UInt64] = []
    private(set) var largest: UInt32 = 0

    /// - Parameter values: nanoseconds.
    mutating func add(_ values: [UInt32]) {
        for value in values {
            let bucket = Self.bucket(value)
            if bucket >= counts.count { counts += [UInt64](repeating: 0, count: bucket + 1 - counts.count) }
            counts[bucket] += 1
            largest = max(largest, value)
        }
    }

    var count: UInt64 { counts.reduce(0, +) }

    /// The value that so many of a hundred do not exceed, to the bucket; 0 where there are none.
    /// - Parameter percent: to the hundredth.
    func percentile(_ percent: Double) -> UInt32 {
        // In whole numbers: 99.9 is none that a Double has, and a ceiling would make one more of it.
        let share = UInt64((percent * 100).rounded())
        let wanted = max(1, (count * share + 9999) / 10_000)
        var seen: UInt64 = 0
        for (bucket, count) in counts.enumerated() {
            seen += count
            if seen >= wanted { return min(Self.upperBound(bucket), largest) }
        }
        return largest
    }

    /// Values below 256 have a bucket each; above, each power of two has 128.
    static func bucket(_ value: UInt32) -> Int {
        let shift = max(0, UInt32.bitWidth - value.leadingZeroBitCount - (bits + 1))
        return shift << bits + Int(value >> UInt32(shift))
    }

    /// The largest value of a bucket.
    static func upperBound(_ bucket: Int) -> UInt32 {
        guard bucket >= 1 << (bits + 1) else { return UInt32(bucket) }
        let shift = UInt64(bucket >> bits) - 1
        let mantissa = UInt64(bucket) - shift << UInt64(bits)
        return UInt32(clamping: (mantissa + 1) << shift - 1)
    }
}

// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import RingBench

@Suite struct LatencyProfileTests {
    /// Both sides of every boundary: the smallest and the largest value of each bucket that a UInt32 can be in.
    @Test func everyBucketFromItsFirstValueToItsLast() {
        var first: UInt64 = 0
        var bucket = 0
        while first <= UInt64(UInt32.max) {
            let last = LatencyProfile.upperBound(bucket)
            #expect(LatencyProfile.bucket(UInt32(first)) == bucket && LatencyProfile.bucket(last) == bucket)
            // No value is told larger than it is by more than one in 128.
            #expect(UInt64(last) >= first && (UInt64(last) - first) * 128 <= first)
            (first, bucket) = (UInt64(last) + 1, bucket + 1)
        }
        #expect(bucket == 256 + 24 * 128)
        #expect((0..<256).allSatisfy { LatencyProfile.upperBound($0) == UInt32($0) })
    }

    /// Against the definition: the smallest value that as many do not exceed, of the sorted ones.
    @Test func percentilesAgainstSortedValues() {
        var random = SeededGenerator(TestRun.seed)
        for count in [1, 2, 3, 10, 100, 999, 1000, 1001, 10_000, 20_000] {
            let values = (0..<count).map { _ in
                UInt32.random(in: 0...UInt32.max, using: &random) >> UInt32.random(in: 0...31, using: &random)
            }
            var profile = LatencyProfile()
            profile.add(Array(values[..<(count / 2)]))
            profile.add(Array(values[(count / 2)...]))
            #expect(profile.count == UInt64(count) && profile.largest == values.max())
            let sorted = values.sorted()
            for hundredths in [0, 1, 5000, 9000, 9900, 9990, 9999, 10_000] {
                let exact = sorted[max(1, (count * hundredths + 9999) / 10_000) - 1]
                let found = profile.percentile(Double(hundredths) / 100)
                let bucket = LatencyProfile.upperBound(LatencyProfile.bucket(exact))
                #expect(found == min(bucket, profile.largest), "\(hundredths) of \(count), seed \(TestRun.seed)")
            }
        }
    }

    @Test func ofNothing() {
        #expect(LatencyProfile().percentile(50) == 0 && LatencyProfile().count == 0 && LatencyProfile().largest == 0)
    }
}

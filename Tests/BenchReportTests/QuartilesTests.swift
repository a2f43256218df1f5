// SPDX-License-Identifier: Apache-2.0
import Testing

import BenchReport

@Suite struct QuartilesTests {
    /// Against the definition: type 7 of Hyndman and Fan, as R's `quantile` and numpy's have it.
    @Test(
        arguments: [
            ([3], 3, 3, 3), ([2, 1], 1.25, 1.5, 1.75), ([5, 1, 3], 2, 3, 4), ([4, 1, 3, 2], 1.75, 2.5, 3.25),
            ([1, 1, 1, 9], 1, 1, 3), ([10, 20, 30, 40, 50], 20, 30, 40),
        ] as [([Double], Double, Double, Double)])
    func quartiles(_ values: [Double], _ lower: Double, _ median: Double, _ upper: Double) {
        let found = Quartiles(values)
        #expect(found.lower == lower && found.median == median && found.upper == upper, "\(found)")
    }

    @Test func inWords() {
        #expect(Quartiles([1.004, 1.05]).text(2) == "1.03 (1.02 to 1.04)")
        #expect(Quartiles([1234.6]).text(0) == "1235 (1235 to 1235)")
        #expect(Quartiles([0.996]).text(2) == "1.00 (1.00 to 1.00)")
    }
}

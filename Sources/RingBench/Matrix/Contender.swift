// SPDX-License-Identifier: Apache-2.0

/// One measurement of one contender.
struct Measurement {
    /// In the cell's unit.
    let value: Double
    let regime: CacheRegime
    /// Nanoseconds of each round trip, where they were taken one by one.
    var latencies: [UInt32] = []
}

/// Who takes part in a cell.
struct Contender {
    let name: String
    let measure: (ProcessPair) throws -> Measurement
}

/// What is measured alike for several contenders, in turns.
struct Cell {
    let id: String
    let title: String
    let unit: String
    let lowerIsBetter: Bool
    let contenders: [Contender]
}

extension ProcessPair.Outcome {
    var regime: CacheRegime { CacheRegime(self) }
}

// SPDX-License-Identifier: Apache-2.0

/// All cells, all contenders, in turns: what else the machine does meets everybody.
final class Matrix {
    private let pair: ProcessPair
    private let cells: [Cell]
    private(set) var results: [CellRecord]

    init(_ cells: [Cell], _ pair: ProcessPair) {
        (self.cells, self.pair) = (cells, pair)
        results = cells.map(CellRecord.init)
    }

    /// - Parameter progress: of a line that is to be shown.
    func run(rounds: Int, progress: (String) -> Void) throws {
        let began = ContinuousClock.now
        let each = cells.map(\.contenders.count).reduce(0, +)
        var done = 0
        for round in 0..<rounds {
            for place in cells.indices {
                let contenders = cells[place].contenders
                for index in Self.order(contenders.count, round) {
                    let spent = ContinuousClock.now - began
                    let left = done == 0 ? "" : ", \(Self.seconds(spent * (rounds * each - done) / done)) s left"
                    progress("round \(round + 1) of \(rounds): \(cells[place].title)\(left)")
                    results[place].series[index].add(try contenders[index].measure(pair))
                    done += 1
                }
            }
        }
    }

    /// Whoever comes after somebody finds what that one has left (a warm cache, a processor that has slowed down), so
    /// each round has another order; the same ones in every run.
    static func order(_ count: Int, _ round: Int) -> [Int] {
        var random = Shuffler(state: UInt64(round))
        return (0..<count).shuffled(using: &random)
    }

    private static func seconds(_ duration: Duration) -> Int { Int(duration / .seconds(1)) }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
private struct Shuffler: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

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
                for turn in contenders.indices {
                    // Whoever comes after somebody finds what that one has left: everybody comes after everybody.
                    let index = (turn + round) % contenders.count
                    let spent = ContinuousClock.now - began
                    let left = done == 0 ? "" : ", \(Self.seconds(spent * (rounds * each - done) / done)) s left"
                    progress("round \(round + 1) of \(rounds): \(cells[place].title)\(left)")
                    results[place].series[index].add(try contenders[index].measure(pair))
                    done += 1
                }
            }
        }
    }

    private static func seconds(_ duration: Duration) -> Int { Int(duration / .seconds(1)) }
}

// SPDX-License-Identifier: Apache-2.0
import BenchReport

/// This run against an earlier one, cell by cell. Two runs have not met the same machine: so each of this project's
/// contenders is compared by its ratio to a peer of its own run, the limit or the first other one in the cell.
struct BenchComparison {
    /// A contender whose ratio is worse by more than a tenth, and whose quartiles do not reach the old ones.
    struct Regression: Equatable {
        let cell: String
        let name: String
        let peer: String
        let regime: CacheRegime
        let old: Quartiles
        let new: Quartiles

        var text: String {
            "\(cell), \(name), processors \(regime.rawValue): \(new.text(2)) of \(peer), and was \(old.text(2))"
        }
    }

    private(set) var regressions: [Regression] = []
    /// How many ratios both runs have: without any, that nothing has become worse says nothing.
    private(set) var compared = 0
    /// What the two runs do not have in common.
    let difference: String?

    /// Rounds that a ratio needs at least in each run.
    static let enough = 3
    /// Worse by less is none.
    static let margin = 1.1

    init(old: BenchRecord, new: BenchRecord) {
        let (before, now) = (old.machine, new.machine)
        let isSame = before.processor == now.processor && before.processors == now.processors
        difference = isSame ? nil : "that was on \(before.processor), \(before.processors) processors"
        for cell in new.cells {
            guard let earlier = old.cells.first(where: { $0.id == cell.id }) else { continue }
            for regime in CacheRegime.counting {
                for series in cell.series where Self.isOwn(series.name) {
                    compare(series.name, cell, earlier, regime)
                }
            }
        }
    }

    /// What is compared: this project's own.
    private static func isOwn(_ name: String) -> Bool { name.hasPrefix("ring") || name.hasPrefix("pump") }

    private mutating func compare(_ name: String, _ cell: CellRecord, _ before: CellRecord, _ regime: CacheRegime) {
        // One that both runs have and that is none of this project's, and none that stands for a bad design.
        let peer = cell.series.map(\.name).first {
            !Self.isOwn($0) && $0 != OneLockRing.name && before.series($0) != nil
        }
        guard let peer else { return }
        let (now, then) = (cell.ratios(name, peer, regime), before.ratios(name, peer, regime))
        guard now.count >= Self.enough, then.count >= Self.enough else { return }
        compared += 1
        let (new, old) = (Quartiles(now), Quartiles(then))
        let isWorse =
            cell.lowerIsBetter
            ? new.median > old.median * Self.margin && new.lower > old.upper
            : new.median < old.median / Self.margin && new.upper < old.lower
        if isWorse {
            regressions.append(
                Regression(cell: cell.title, name: name, peer: peer, regime: regime, old: old, new: new))
        }
    }

    /// - Parameter file: with the earlier run.
    func text(_ file: String) -> String {
        let note = difference.map { "; \($0)" } ?? ""
        let head = "worse than \(file): \(regressions.count) of \(compared) ratios that both runs have\(note)"
        return ([head] + regressions.map { "  \($0.text)" }).joined(separator: "\n")
    }
}

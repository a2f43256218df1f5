// SPDX-License-Identifier: Apache-2.0
import BenchReport

/// This run against an earlier one, cell by cell. Two runs have not met the same machine: so each contender is compared
/// by its ratio to a peer of its own run, the limit or the first in the cell.
enum BenchComparison {
    /// A contender whose ratio is worse by more than a tenth, and whose quartiles do not reach the old ones.
    struct Regression: Equatable {
        let cell: String
        let name: String
        let regime: CacheRegime
        let old: Quartiles
        let new: Quartiles

        var text: String {
            "\(cell), \(name), \(regime.rawValue): \(new.text(2)) of the limit, and was \(old.text(2))"
        }
    }

    /// What is compared: this project's own.
    private static func isOwn(_ name: String) -> Bool { name.hasPrefix("ring") || name.hasPrefix("pump") }

    static func regressions(old: BenchRecord, new: BenchRecord) -> [Regression] {
        new.cells.flatMap { cell -> [Regression] in
            guard let before = old.cells.first(where: { $0.id == cell.id }) else { return [] }
            return CacheRegime.counting.flatMap { regime in
                cell.series.filter { isOwn($0.name) }.compactMap { compare($0.name, cell, before, regime) }
            }
        }
    }

    private static func compare(
        _ name: String, _ cell: CellRecord, _ before: CellRecord, _ regime: CacheRegime
    ) -> Regression? {
        // A peer that both runs have and that is none of this project's.
        let peers = cell.series.map(\.name).filter { !isOwn($0) && before.series($0) != nil }
        guard let peer = peers.first else { return nil }
        let (now, then) = (cell.ratios(name, peer, regime), before.ratios(name, peer, regime))
        guard now.count >= 3, then.count >= 3 else { return nil }
        let (new, old) = (Quartiles(now), Quartiles(then))
        let isWorse =
            cell.lowerIsBetter
            ? new.median > old.median * 1.1 && new.lower > old.upper
            : new.median < old.median / 1.1 && new.upper < old.lower
        return isWorse ? Regression(cell: cell.title, name: name, regime: regime, old: old, new: new) : nil
    }
}

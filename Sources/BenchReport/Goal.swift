// SPDX-License-Identifier: Apache-2.0

/// What a ratio against a peer of the same run is to reach.
public struct Goal: Equatable, Sendable, Codable {
    public enum Sense: String, Sendable, Codable {
        /// More is better.
        case atLeast
        /// Less is better.
        case atMost
    }

    public let what: String
    public let sense: Sense
    /// The bound.
    public let required: Double
    /// What to try for; no part of the verdict.
    public let aim: Double

    public init(_ what: String, _ sense: Sense, _ required: Double, aim: Double) {
        (self.what, self.sense, self.required, self.aim) = (what, sense, required, aim)
    }

    /// Whether `ratio` is as good as `bound`, or better.
    public func isReached(_ bound: Double, by ratio: Double) -> Bool {
        sense == .atLeast ? ratio >= bound : ratio <= bound
    }
}

/// What a run says of a goal: the median decides, and the quartiles stand beside it.
public struct GoalResult: Equatable, Sendable, Codable {
    public enum Verdict: String, Sendable, Codable {
        case met, missed
        case notMeasured = "not measured"
    }

    public let goal: Goal
    /// nil where it could not be measured.
    public let ratio: Quartiles?
    /// How many ratios that rests on.
    public let count: Int
    /// Why it was not measured, or what else is to be known of it.
    public let note: String

    /// - Parameter ratios: one a round; none where it could not be measured, and `note` says why.
    public init(_ goal: Goal, ratios: [Double], note: String = "") {
        self.goal = goal
        ratio = ratios.isEmpty ? nil : Quartiles(ratios)
        count = ratios.count
        self.note = note
    }

    public var verdict: Verdict {
        guard let ratio else { return .notMeasured }
        return goal.isReached(goal.required, by: ratio.median) ? .met : .missed
    }

    public var reachesAim: Bool { ratio.map { goal.isReached(goal.aim, by: $0.median) } ?? false }
}

/// The goals of a run, each with its verdict.
public struct GoalTable: Equatable, Sendable, Codable {
    public let results: [GoalResult]

    public init(_ results: [GoalResult]) { self.results = results }

    public func count(_ verdict: GoalResult.Verdict) -> Int { results.count { $0.verdict == verdict } }

    /// Nothing was missed, and nothing left out.
    public var isWhole: Bool { count(.met) == results.count }

    /// A Markdown table.
    public var text: String {
        let head = "| goal | bound | aim | measured: median (quartiles) | |\n|---|---|---|---|---|\n"
        return head + results.map(row).joined(separator: "\n")
    }

    /// "goals: N met, M missed".
    public var closing: String {
        let left = count(.notMeasured)
        return "goals: \(count(.met)) met, \(count(.missed)) missed" + (left > 0 ? ", \(left) not measured" : "")
    }

    private func row(_ result: GoalResult) -> String {
        let bound = result.goal.sense == .atLeast ? "≥" : "≤"
        let measured = result.ratio.map { $0.text($0.median < 0.1 ? 3 : 2) } ?? "–"
        let verdict = result.verdict.rawValue + (result.reachesAim ? ", as aimed at" : "")
        let note = result.note.isEmpty ? "" : "; \(result.note)"
        return "| \(result.goal.what) | \(bound) \(fixed(result.goal.required)) "
            + "| \(fixed(result.goal.aim)) | \(measured) | \(verdict)\(note) |"
    }

    /// With as many digits as say it: 1.50, 0.025.
    private func fixed(_ bound: Double) -> String {
        Quartiles.fixed(bound, bound < 0.1 ? 3 : 2)
    }
}

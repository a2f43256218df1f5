// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What came of a scenario: one row a step.
public struct ScenarioReport: Sendable {
    public struct Row: Sendable, Equatable {
        public enum Verdict: String, Sendable {
            case holds = "ok"
            case fails = "FAILED"
            case notRun = "not run"
        }
        public let title: String
        public var verdict: Verdict
        public var seconds: Double
        /// What the step has to tell besides.
        public var note: String
    }

    public let scenario: String
    public let title: String
    public var rows: [Row] = []
    /// What failed first: with the line of the scenario.
    public var failure: String?
    public var seconds = 0.0
    public let logs: URL

    /// Whether every row holds.
    public var holds: Bool { failure == nil && !rows.isEmpty && rows.allSatisfy { $0.verdict == .holds } }

    /// The table that a run ends with.
    public var table: String {
        let width = (rows.map(\.title.count).max() ?? 0)
        var lines = ["\(scenario): \(title)", ""]
        for row in rows {
            let verdict = row.verdict.rawValue.padding(toLength: 8, withPad: " ", startingAt: 0)
            let time = row.verdict == .notRun ? "" : Progress.fixed(row.seconds, width: 6) + " s"
            let title = row.title + String(repeating: " ", count: width - row.title.count)
            lines.append("  \(verdict)\(title)  \(time)\(row.note.isEmpty ? "" : "  \(row.note)")")
        }
        lines += ["", "\(holds ? "PASSED" : "FAILED") in \(Progress.fixed(seconds)) s, \(rows.count) checks"]
        if let failure { lines += ["", failure, "Logs: \(logs.path)"] }
        return lines.joined(separator: "\n")
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Runs a scenario, step by step, and stops at the first thing that does not hold.
public final class ScenarioRunner {
    let scenario: Scenario
    let environment: RigEnvironment
    let isFull: Bool
    let folder: RunFolder
    let guests: ScenarioGuests
    var variables: [String: String] = [:]
    var jobs: [String: (guest: ScenarioGuest, job: GuestShell.Job, limit: Duration)] = [:]
    /// What the step that runs has noted.
    var notes: [String] = []
    private var report: ScenarioReport

    /// Builds the images and starts the doorbell server; boots nothing yet.
    /// - Parameter full: run the long form of repeated blocks.
    public init(_ scenario: Scenario, environment: RigEnvironment, full: Bool) throws {
        self.scenario = scenario
        self.environment = environment
        isFull = full
        folder = try RunFolder.make(name: environment.runName(scenario), root: environment.root)
        let folder = folder
        _ = Cleanup.shared.add { folder.removeAllButLogs() }
        guests = try ScenarioGuests(scenario, environment: environment, folder: folder)
        report = ScenarioReport(
            scenario: environment.runName(scenario), title: scenario.title, logs: folder.logs)
    }

    /// Runs all steps.
    public func run() -> ScenarioReport {
        let began = ContinuousClock.now
        do {
            try run(scenario.items)
        } catch {
            report.failure = (error as? ScenarioFailure)?.description ?? "\(error)"
            guests.diagnose(environment.progress)
            listRest()
        }
        report.seconds = Progress.seconds(ContinuousClock.now - began)
        return report
    }

    /// Ends the guests and removes what only a run needs. The logs stay.
    public func end() { guests.end() }

    private func run(_ items: [Item]) throws {
        for item in items {
            switch item {
            case .step(let line, let title, let items): try step(line, title, items)
            case .repeated(let short, let full, let items):
                for _ in 0..<(isFull ? full : short) { try run(items) }
            case .each(let variable, let values, let items):
                for value in values.flatMap(words(of:)) {
                    variables[variable] = value
                    try run(items)
                }
            case .statement(let statement):
                do {
                    try perform(statement)
                } catch let error where !(error is ScenarioFailure) {
                    throw ScenarioFailure(scenario: scenario.name, line: statement.line, cause: "\(error)")
                }
            }
        }
    }

    /// A variable may hold several values; a quoted value with blanks is one.
    private func words(of value: Template) -> [String] {
        guard !value.variables.isEmpty else { return [value.text] }
        return value.expanded(variables).split(separator: " ").map(String.init)
    }

    private func step(_ line: Int, _ title: Template, _ items: [Item]) throws {
        notes = []
        let began = ContinuousClock.now
        environment.progress.note("\(title.expanded(variables)) …")
        func finish(_ verdict: ScenarioReport.Row.Verdict) {
            let row = ScenarioReport.Row(
                title: title.expanded(variables), verdict: verdict,
                seconds: Progress.seconds(ContinuousClock.now - began), note: notes.joined(separator: ", "))
            report.rows.append(row)
            let note = row.note.isEmpty ? "" : ", \(row.note)"
            environment.progress.note("    \(verdict.rawValue) (\(Progress.fixed(row.seconds)) s\(note))")
        }
        do {
            try run(items)
        } catch {
            finish(.fails)
            throw error
        }
        finish(.holds)
    }

    /// The steps that were not reached, so that a table never looks complete that is not.
    private func listRest() {
        let titles = Self.titles(scenario.items).map { $0.expanded(variables) }
        let done = Set(report.rows.map(\.title))
        for title in titles where !done.contains(title) {
            report.rows.append(ScenarioReport.Row(title: title, verdict: .notRun, seconds: 0, note: ""))
        }
    }

    private static func titles(_ items: [Item]) -> [Template] {
        items.flatMap { item -> [Template] in
            switch item {
            case .step(_, let title, _): [title]
            case .repeated(_, _, let items), .each(_, _, let items): titles(items)
            case .statement: []
            }
        }
    }
}

/// Something that a scenario demands does not hold.
struct ScenarioFailure: Error, CustomStringConvertible {
    let scenario: String
    let line: Int
    let cause: String

    var description: String { "\(scenario).scenario:\(line): \(cause)" }
}

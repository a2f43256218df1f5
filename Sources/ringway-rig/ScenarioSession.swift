// SPDX-License-Identifier: Apache-2.0
import Foundation
import Rig

/// One scenario from the command line: progress on standard error, the table on standard output.
struct ScenarioSession {
    let root: URL
    let architecture: GuestArchitecture
    /// Both guests on one machine with seL4; nil: a QEMU each.
    var sel4: SeL4System?
    let full: Bool
    let keep: Bool

    /// Runs `scenario`; true where all of it holds.
    func run(_ scenario: Scenario) throws -> Bool {
        let environment = RigEnvironment(root: root, architecture: architecture, sel4: sel4)
        let runner = try ScenarioRunner(scenario, environment: environment, full: full)
        let report = runner.run()
        print("\n\(report.table)\n")
        if keep {
            tell(try runner.keep())
        } else {
            runner.end()
        }
        return report.holds
    }

    private func tell(_ names: [String]) {
        guard !names.isEmpty else { return print("No virtual machine is left to keep.") }
        print("Still running: \(names.joined(separator: ", ")). For a shell in each:")
        let program = CommandLine.arguments[0]
        for name in names { print("    \(program) shell \(name)") }
        print("To end them:\n    \(program) clean")
    }
}

// SPDX-License-Identifier: Apache-2.0
import RingTransport
import USBIP

/// `ringway export`: offers devices to the peer.
struct ExportCommand {
    let agent: AgentClient
    let rule: DeviceRule
    /// Also those that are plugged in later.
    let isStanding: Bool

    @inline(never)
    static func parse(_ arguments: [String]) throws(Diagnostic) -> ExportCommand {
        let arguments = try CommandArguments.parse(
            arguments, command: "export", values: ["-b|--busid", "-m|--match"], words: 1)
        let match = arguments.value("--match")
        let text = try arguments.subject(["--busid", "--match"], "bus id, or --match RULE")
        guard let rule = DeviceRule(text) else {
            throw Diagnostic(.usage, "export: `\(text)` names no device; it must be \(DeviceRule.form)")
        }
        return ExportCommand(agent: arguments.agent, rule: rule, isStanding: match != nil)
    }

    @inline(never)
    func execute() throws(Diagnostic) -> ExitCode {
        try agent.obey((isStanding ? "match " : "export ") + rule.text)
    }
}

/// `ringway unexport`: takes devices back, also from a peer that uses them.
struct UnexportCommand {
    let agent: AgentClient
    let rule: DeviceRule

    @inline(never)
    static func parse(_ arguments: [String]) throws(Diagnostic) -> UnexportCommand {
        let arguments = try CommandArguments.parse(
            arguments, command: "unexport", values: ["-b|--busid", "-m|--match"], words: 1)
        let text = try arguments.subject(["--busid", "--match"], "bus id, or --match RULE")
        guard let rule = DeviceRule(text) else {
            throw Diagnostic(.usage, "unexport: `\(text)` names no device; it must be \(DeviceRule.form)")
        }
        return UnexportCommand(agent: arguments.agent, rule: rule)
    }

    @inline(never)
    func execute() throws(Diagnostic) -> ExitCode { try agent.obey("unexport " + rule.text) }
}

extension AgentClient {
    /// Passes a request on; its text is the command's result, or its error.
    func obey(_ request: String) throws(Diagnostic) -> ExitCode {
        let answer = try ask(request)
        guard answer.code == .success else { throw Diagnostic(answer.code, Message(answer.text)) }
        return Output.result(answer.text)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// `ringway status`: asks the running agent.
struct StatusCommand {
    let agent: AgentClient
    let json: Bool

    @inline(never)
    static func parse(_ arguments: [String]) throws(Diagnostic) -> StatusCommand {
        let arguments = try CommandArguments.parse(arguments, command: "status", flags: ["--json"])
        return StatusCommand(agent: arguments.agent, json: arguments.has("--json"))
    }

    /// More than the agent waits for the kernel's part of the report.
    private static let patienceMilliseconds = 15_000

    @inline(never)
    func execute() throws(Diagnostic) -> ExitCode {
        var text = try agent.askAgent(
            .status, flags: json ? ControlProtocol.flagJSON : 0, milliseconds: Self.patienceMilliseconds)
        // The data path is not trusted with a terminal: of ASCII's control characters only line ends get there.
        for i in text.indices where text[i] < 0x20 && text[i] != 0x0A { text[i] = 0x3F }
        return Output.result(String(bytes: text[...]))
    }
}

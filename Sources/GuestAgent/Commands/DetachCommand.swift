// SPDX-License-Identifier: Apache-2.0
import RingTransport
import USBIP

/// `ringway detach`: lets a port's device go, and with it the rule that would take it again.
struct DetachCommand {
    enum Subject {
        case port(Int)
        case rule(DeviceRule)
    }

    let agent: AgentClient
    let subject: Subject
    var driver = ImporterDriver()

    @inline(never)
    static func parse(_ arguments: [String]) throws(Diagnostic) -> DetachCommand {
        let arguments = try CommandArguments.parse(
            arguments, command: "detach", values: ["-p|--port"], words: 1)
        let text = try arguments.subject(["--port"], "port, or bus id of the peer, or VVVV:PPPP")
        if let port = number(text, in: 0...65535) { return DetachCommand(agent: arguments.agent, subject: .port(port)) }
        guard arguments.value("--port") == nil, let rule = DeviceRule(text), !rule.namesSerial else {
            throw Diagnostic(
                .usage, "detach: `\(text)` is no port; it must be a number, a bus id of the peer, or VVVV:PPPP")
        }
        return DetachCommand(agent: arguments.agent, subject: .rule(rule))
    }

    @inline(never)
    func execute() throws(Diagnostic) -> ExitCode {
        let ports = driver.ports() ?? []
        switch subject {
        case .port(let number):
            let rule = ports.first { $0.number == number }.flatMap { PortRecord.read(agent.runtimeDirectory, $0) }?.rule
            // Otherwise the agent would attach it again.
            if let rule, rule != "-" { forget(rule) }
            try detach(number)
        case .rule(let rule):
            var found = forget(rule.text)
            for port in ports where port.state != .free {
                guard let record = PortRecord.read(agent.runtimeDirectory, port), matches(rule, record) else {
                    continue
                }
                if record.rule != "-" { forget(record.rule) }
                try detach(port.number)
                found = true
            }
            guard found else {
                throw Diagnostic(
                    .noSuch,
                    "detaching \(rule.text): no port has it and no rule wants it; `ringway port` shows what is attached"
                )
            }
        }
        return .success
    }

    private func matches(_ rule: DeviceRule, _ record: PortRecord) -> Bool {
        if case .busID(let busID) = rule.kind { return record.busID == busID }
        return record.identity == rule.text
    }

    /// Without an agent no rule is followed.
    @discardableResult
    private func forget(_ rule: String) -> Bool {
        do throws(Diagnostic) { return try agent.ask("forget " + rule).code == .success } catch { return false }
    }

    private func detach(_ port: Int) throws(Diagnostic) {
        try driver.detach(port)
        PortRecord.remove(agent.runtimeDirectory, port)
        Output.result(compose("port \(port): detached\n"))
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What each statement does.
extension ScenarioRunner {
    private static let commandLimit = Duration.seconds(60)
    private static let bootLimit = Duration.seconds(120)

    func perform(_ statement: Statement) throws {
        let outcome = statement.outcome
        switch statement.action {
        case .command(let guest, let script):
            let guest = try self.guest(guest)
            let job = try guest.shell().start(script.expanded(variables))
            let limit = outcome.limit ?? Self.commandLimit
            if let name = outcome.job { return jobs[name] = (guest, job, limit) }
            try judge(guest.shell().wait(for: job, timeLimit: limit), outcome, of: script.expanded(variables))
        case .waitForJob(let name):
            guard let (guest, job, limit) = jobs.removeValue(forKey: name) else { throw failure("\(name) has ended") }
            let output = try guest.shell().wait(for: job, timeLimit: outcome.limit ?? limit)
            try judge(output, outcome, of: job.script)
        case .host(let query, let arguments):
            let answer = try self.answer(query, arguments.map { $0.expanded(variables) })
            try judge(GuestShell.Output(status: 0, text: answer), outcome, of: query.rawValue)
        case .boot(let names, let changes, let forced, let waits):
            try boot(names, changes, forced: forced, waits: waits, outcome)
        case .machine(let verb, let names): try machines(verb, names)
        case .plug(let guest, let device, let isIn): try plug(self.guest(guest), device, isIn: isIn)
        case .press(let guest, let keys): try press(keys, self.guest(guest))
        case .agent(let verb, let names): for name in names { try agent(verb, guest(name)) }
        case .waitForLink(let names):
            let limit = outcome.limit ?? .seconds(20)
            for name in names {
                try guest(name).demand(
                    AgentSetup.waitForLink(seconds: Int(limit.components.seconds)), "see the link come up",
                    timeLimit: limit + .seconds(10))
            }
        case .console(let name): try console(guest(name), outcome)
        case .expect(let left, let comparison, let right):
            try expect(left, comparison, right)
        case .note(let text): notes.append(text.expanded(variables))
        }
    }

    private func guest(_ name: Template) throws -> ScenarioGuest {
        guard let guest = guests[name.expanded(variables)] else {
            throw failure("there is no guest \"\(name.expanded(variables))\"")
        }
        return guest
    }

    // MARK: Machines

    private func boot(
        _ names: [Template], _ changes: [SetupChange], forced: Bool, waits: Bool, _ outcome: Outcome
    ) throws {
        let booted = try names.map(guest)
        for guest in booted {
            guest.setup = guest.declaration.setup
            for change in changes { try apply(change, to: guest) }
        }
        var refusal: RigError?
        do {
            try guests.boot(booted, forced: forced, waits: waits, limit: outcome.limit ?? Self.bootLimit)
        } catch let error as RigError {
            refusal = error
        }
        if let refusal, outcome.status == .exactly(0) { throw refusal }
        let output = GuestShell.Output(status: refusal == nil ? 0 : 1, text: refusal?.description ?? "")
        try judge(output, outcome, of: "boot")
    }

    private func apply(_ change: SetupChange, to guest: ScenarioGuest) throws {
        let value = change.value.expanded(variables)
        let line = ScenarioLine(number: 0, text: "")
        do {
            try StatementParser.apply(change.key.rawValue, value, to: &guest.setup, at: line, file: scenario.name)
        } catch {
            throw failure("\(change.key.rawValue)=\(value) cannot be had")
        }
    }

    private func machines(_ verb: Action.MachineVerb, _ names: [Template]) throws {
        for name in names {
            let machine = try guest(name).machine
            switch verb {
            case .kill: machine.kill()
            case .pause: try machine.monitor().execute("stop")
            case .resume: try machine.monitor().execute("cont")
            }
        }
    }

    private func plug(_ guest: ScenarioGuest, _ name: String, isIn: Bool) throws {
        let monitor = try guest.machine.monitor()
        guard isIn else { return try monitor.execute("device_del", ["id": name]) }
        guard let device = guest.declaration.devices.first(where: { $0.name == name }) else { return }
        try monitor.execute("device_add", device.device)
    }

    private func press(_ keys: [String], _ guest: ScenarioGuest) throws {
        let monitor = try guest.machine.monitor()
        for key in keys {
            for isDown in [true, false] {
                let data: [String: Any] = ["down": isDown, "key": ["type": "qcode", "data": key]]
                try monitor.execute("input-send-event", ["events": [["type": "key", "data": data]]])
            }
        }
    }

    private func console(_ guest: ScenarioGuest, _ outcome: Outcome) throws {
        let limit = outcome.limit ?? .seconds(30)
        for text in outcome.says {
            try guest.machine.waitForConsole(text.expanded(variables), limit: limit)
        }
        for text in outcome.neverSays where guest.machine.console.contains(text.expanded(variables)) {
            throw failure("the console of \(guest.name) says \"\(text.expanded(variables))\"")
        }
    }

    // MARK: Agents

    private func agent(_ verb: Action.AgentVerb, _ guest: ScenarioGuest) throws {
        let agent = AgentSetup(role: guest.declaration.role, setup: guest.setup)
        switch verb {
        case .start:
            try guest.demand(agent.configure, "configure the agent")
            try guest.demand(AgentSetup.start, "start the agent")
        case .kill: try guest.demand(AgentSetup.end(signal: "KILL"), "kill the agent")
        case .stop: try guest.demand(AgentSetup.end(signal: "TERM"), "stop the agent")
        }
    }

    // MARK: Verdicts

    private func judge(_ output: GuestShell.Output, _ outcome: Outcome, of script: String) throws {
        let command = script.split(separator: "\n").first.map(String.init) ?? ""
        let printed = output.text.isEmpty ? "and printed nothing" : "and printed:\n\(HostCommand.tail(output.text))"
        switch outcome.status {
        case .exactly(let status) where output.status != status:
            throw failure("`\(command)` ended with status \(output.status), not \(status), \(printed)")
        case .fails where output.status == 0: throw failure("`\(command)` succeeded, but must fail, \(printed)")
        default: break
        }
        for text in outcome.says.map({ $0.expanded(variables) }) where !output.text.contains(text) {
            throw failure("`\(command)` does not say \"\(text)\", \(printed)")
        }
        for text in outcome.neverSays.map({ $0.expanded(variables) }) where output.text.contains(text) {
            throw failure("`\(command)` says \"\(text)\", \(printed)")
        }
        for capture in outcome.captures { variables[capture.variable] = try value(capture, in: output.text, command) }
    }

    private func value(_ capture: Outcome.Capture, in text: String, _ command: String) throws -> String {
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard let path = capture.path else { return trimmed }
        let names = path.map { $0.expanded(variables) }
        guard let value = JSONPath.value(at: names, in: Data(trimmed.utf8)) else {
            throw failure("`\(command)` printed no \(names.joined(separator: ".")) in:\n\(HostCommand.tail(trimmed))")
        }
        return value
    }

    private func expect(_ left: Template, _ comparison: Comparison, _ right: Template) throws {
        let (first, second) = (left.expanded(variables), right.expanded(variables))
        switch comparison.holds(first, second) {
        case true?: return
        case false?: throw failure("\(left.text) is \"\(first)\", which is not \(comparison.rawValue) \"\(second)\"")
        case nil: throw failure("\"\(first)\" and \"\(second)\" are not both numbers")
        }
    }

    private func failure(_ what: String) -> RigError {
        RigError(tried: "go on", happened: what, remedy: "read the logs in \(folder.logs.path)")
    }
}

/// One value out of JSON text, by names, indices, and `key=value` for the first element of an array that has that.
enum JSONPath {
    static func value(at path: [String], in data: Data) -> String? {
        var node = try? JSONSerialization.jsonObject(with: data)
        for name in path {
            if let array = node as? [Any] {
                node = element(name, of: array)
            } else {
                node = (node as? [String: Any])?[name]
            }
        }
        switch node {
        case let text as String: return text
        case let number as NSNumber: return number.stringValue
        default: return nil
        }
    }

    private static func element(_ name: String, of array: [Any]) -> Any? {
        if let index = Int(name) { return array.indices.contains(index) ? array[index] : nil }
        let words = name.split(separator: "=", maxSplits: 1)
        guard words.count == 2 else { return nil }
        return array.first {
            switch ($0 as? [String: Any])?[String(words[0])] {
            case let text as String: text == words[1]
            case let number as NSNumber: number.stringValue == words[1]
            default: false
            }
        }
    }
}

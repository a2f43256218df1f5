// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Reads the statements of a step, and the lines that say what must come of them.
struct StatementParser {
    var names: ScenarioNames
    let file: String

    // MARK: Statements

    mutating func statement(_ line: ScenarioLine) throws(ScenarioError) -> Statement {
        Statement(line: line.number, action: try action(line))
    }

    private func action(_ line: ScenarioLine) throws(ScenarioError) -> Action {
        if let (runner, script) = line.command { return try command(runner, script, line) }
        let words = try Self.words(line, file: file)
        switch words[0] {
        case "boot": return try boot(words.dropFirst(), waits: true, line)
        case "power" where words.dropFirst().first == "on": return try boot(words.dropFirst(2), waits: false, line)
        case "start", "stop", "kill", "pause", "resume": return try verb(words, line)
        case "plug", "unplug": return try plug(words, line)
        case "press": return try press(words, line)
        case "wait":
            if words.count > 3, words[1] == "for", words[2] == "link" {
                return .waitForLink(guests: try guests(after: "on", words.dropFirst(3), line))
            }
            guard words.count == 3, words[1] == "for" else {
                throw error(line, .missing("\"for link on GUEST…\" or \"for JOB\"", in: "wait"))
            }
            guard names.jobs.contains(words[2]) else { throw error(line, .unknownName(words[2], kind: "job")) }
            return .waitForJob(words[2])
        case "console":
            guard words.count == 2 else { throw error(line, .missing("one guest", in: "console")) }
            return .console(guest: try guest(words[1], line))
        case "expect": return try expect(words, line)
        case "note": return .note(try template(line.rest, line))
        default: throw error(line, .unknownStatement(words[0]))
        }
    }

    private func command(_ runner: String, _ script: String, _ line: ScenarioLine) throws(ScenarioError) -> Action {
        guard !script.isEmpty else { throw error(line, .missing("a command", in: line.head)) }
        guard runner == "host" else {
            return .command(guest: try guest(runner, line), script: try template(script, line))
        }
        let words = try Self.words(ScenarioLine(number: line.number, text: script), file: file)
        guard let query = HostQuery(rawValue: words[0]) else {
            throw error(line, .unknownName(words[0], kind: "host command"))
        }
        guard words.count == 1 + query.parameters else {
            throw error(line, .missing("\(query.parameters) name(s)", in: words[0]))
        }
        switch query {
        case .sha256, .holders:
            guard !Template(words[1]).variables.isEmpty || names.device(words[1])?.size != nil else {
                throw error(line, .unknownName(words[1], kind: "disk"))
            }
        case .sound:
            guard names.device(words[1])?.kind == .sound else {
                throw error(line, .unknownName(words[1], kind: "sound device"))
            }
        case .packaged, .kernel, .packagedKernel, .origins, .unpacked, .memoryNeeded, .memoryGiven:
            _ = try guest(words[1], line)
        case .hostile:
            _ = try guest(words[1], line)
            for word in words[2...] where Int(word).map({ $0 < 1 }) ?? true {
                throw error(line, .badValue(word, wanted: "a number of mutations"))
            }
        case .builtAgent, .sel4Log: break
        }
        var arguments: [Template] = []
        for word in words.dropFirst() { arguments.append(try template(word, line)) }
        return .host(query, arguments)
    }

    private func boot(_ words: ArraySlice<String>, waits: Bool, _ line: ScenarioLine) throws(ScenarioError) -> Action {
        let listed = words.prefix { $0 != "with" && $0 != "forced" }
        var guests: [Template] = []
        for name in listed { guests.append(try guest(name, line)) }
        guard !guests.isEmpty else { throw error(line, .missing("a guest", in: line.head)) }
        var rest = words.dropFirst(listed.count)
        var changes: [SetupChange] = []
        if rest.first == "with" {
            rest.removeFirst()
            while let word = rest.first, let equals = word.firstIndex(of: "=") {
                rest.removeFirst()
                changes.append(try change(String(word[..<equals]), String(word[word.index(after: equals)...]), line))
            }
            guard !changes.isEmpty else { throw error(line, .missing("key=value", in: "with")) }
        }
        let forced = rest.first == "forced"
        if forced { rest.removeFirst() }
        guard rest.isEmpty else { throw error(line, .unknownStatement(rest.first!)) }
        return .boot(guests: guests, changes: changes, forced: forced, waits: waits)
    }

    private func change(_ key: String, _ value: String, _ line: ScenarioLine) throws(ScenarioError) -> SetupChange {
        guard let known = SetupChange.Key(rawValue: key) else { throw error(line, .unknownName(key, kind: "setting")) }
        let template = try template(value, line)
        if template.variables.isEmpty {
            var scratch = GuestSetup()
            try Self.apply(key, value, to: &scratch, at: line, file: file)
        }
        return SetupChange(key: known, value: template)
    }

    private func verb(_ words: [String], _ line: ScenarioLine) throws(ScenarioError) -> Action {
        if words.count > 1, words[1] == "agent", let verb = Action.AgentVerb(rawValue: words[0]) {
            return .agent(verb, guests: try guests(after: "on", words.dropFirst(2), line))
        }
        guard let verb = Action.MachineVerb(rawValue: words[0]) else {
            throw error(line, .missing("\"agent on GUEST…\"", in: words[0]))
        }
        return .machine(verb, guests: try guests(after: nil, words.dropFirst(), line))
    }

    private func plug(_ words: [String], _ line: ScenarioLine) throws(ScenarioError) -> Action {
        guard words.count == 2 else { throw error(line, .missing("one device", in: words[0])) }
        guard let owner = names.owner(of: words[1]) else { throw error(line, .unknownName(words[1], kind: "device")) }
        let isIn = words[0] == "plug"
        guard !isIn || names.device(words[1])?.canBePlugged == true else {
            throw error(line, .badValue(words[1], wanted: "a device that can be plugged in"))
        }
        return .plug(guest: Template(owner.name), device: words[1], isIn: isIn)
    }

    private func press(_ words: [String], _ line: ScenarioLine) throws(ScenarioError) -> Action {
        guard words.count > 3, words[words.count - 2] == "on" else {
            throw error(line, .missing("keys, \"on\" and a keyboard: press a b on keys", in: "press"))
        }
        let keys = Array(words[1..<words.count - 2])
        // The keyboard forgets what does not fit into its queue of 16 presses and releases.
        guard keys.count <= 8 else { throw error(line, .badValue("\(keys.count) keys", wanted: "at most 8 keys")) }
        let name = words[words.count - 1]
        guard let owner = names.owner(of: name), names.device(name)?.kind == .keyboard else {
            throw error(line, .unknownName(name, kind: "keyboard"))
        }
        return .press(guest: Template(owner.name), keys: keys)
    }

    private func expect(_ words: [String], _ line: ScenarioLine) throws(ScenarioError) -> Action {
        guard words.count == 4, let comparison = Comparison(rawValue: words[2]) else {
            let operators = Comparison.allCases.map(\.rawValue).joined(separator: " ")
            throw error(line, .missing("a value, one of \(operators), and a value", in: "expect"))
        }
        return .expect(try template(words[1], line), comparison, try template(words[3], line))
    }

    // MARK: Outcomes

    private static let outcomeWords: Set<String> = ["fails", "exits", "any", "says", "never", "within", "save", "in"]

    static func isOutcome(_ line: ScenarioLine) -> Bool {
        line.command == nil && (outcomeWords.contains(line.head) || line.head == ">")
    }

    mutating func outcome(_ line: ScenarioLine, of statement: inout Statement) throws(ScenarioError) {
        if line.head == ">" { return try continuation(line, of: &statement) }
        guard statement.action.has(outcome: line.head) else { throw error(line, .outcomeWithoutCommand(line.head)) }
        let words = try Self.words(line, file: file)
        switch (words[0], words.count) {
        case ("fails", 1): statement.outcome.status = .fails
        case ("any", 2) where words[1] == "status": statement.outcome.status = .any
        case ("exits", 2):
            guard let status = Int(words[1]), 0...255 ~= status else {
                throw error(line, .badValue(words[1], wanted: "an exit status, 0 to 255"))
            }
            statement.outcome.status = .exactly(status)
        case ("says", 2): statement.outcome.says.append(try template(words[1], line))
        case ("never", 3) where words[1] == "says": statement.outcome.neverSays.append(try template(words[2], line))
        case ("within", 2):
            guard let limit = ScenarioValue.duration(words[1]) else {
                throw error(line, .badValue(words[1], wanted: "a time, such as 20s"))
            }
            statement.outcome.limit = limit
        case ("save", 2): save(Outcome.Capture(variable: words[1], path: nil), &statement)
        case ("save", 5) where words[2] == "=" && words[3] == "json":
            let path = try template(words[4], line).text.split(separator: ".").map { Template(String($0)) }
            save(Outcome.Capture(variable: words[1], path: path), &statement)
        case ("in", 4) where words[1] == "background" && words[2] == "as":
            guard case .command = statement.action else { throw error(line, .outcomeWithoutCommand("in background")) }
            names.jobs.insert(words[3])
            statement.outcome.job = words[3]
        default: throw error(line, .badValue(line.text, wanted: "what may stand behind a command"))
        }
    }

    /// `> more of the script`
    private func continuation(_ line: ScenarioLine, of statement: inout Statement) throws(ScenarioError) {
        guard case .command(let guest, let script) = statement.action, statement.outcome == Outcome() else {
            throw error(line, .misplaced(">", belongs: "behind a guest's command"))
        }
        let longer = try template(script.text + "\n" + line.rest, line)
        statement = Statement(line: statement.line, action: .command(guest: guest, script: longer))
    }

    private mutating func save(_ capture: Outcome.Capture, _ statement: inout Statement) {
        names.variables.insert(capture.variable)
        statement.outcome.captures.append(capture)
    }

    // MARK: Values

    /// Takes over a `key` of a guest's set-up.
    static func apply(
        _ key: String, _ value: String, to setup: inout GuestSetup, at line: ScenarioLine, file: String
    ) throws(ScenarioError) {
        func bad(_ wanted: String) -> ScenarioError {
            ScenarioError(file: file, line: line.number, kind: .badValue(value, wanted: wanted))
        }
        switch key {
        case "memory":
            guard let size = ScenarioValue.size(value), size % (1 << 20) == 0 else { throw bad("a size in whole MiB") }
            setup.memory = size
        case "section":
            guard let section = GuestSetup.Section(rawValue: value) else {
                throw bad(GuestSetup.Section.allCases.map(\.rawValue).joined(separator: ", "))
            }
            setup.section = section
        case "rings":
            guard let rings = GuestSetup.Rings(rawValue: value) else { throw bad("128K or 256K") }
            setup.rings = rings
        default:
            guard let doorbell = GuestSetup.Doorbell(rawValue: value) else { throw bad("uio or none") }
            setup.doorbell = doorbell
        }
    }

    static func words(_ line: ScenarioLine, file: String) throws(ScenarioError) -> [String] {
        guard let words = line.words, !words.isEmpty else {
            throw ScenarioError(file: file, line: line.number, kind: .unfinished("\""))
        }
        return words
    }

    private func template(_ text: String, _ line: ScenarioLine) throws(ScenarioError) -> Template {
        let template = Template(text)
        try names.check([template], at: line, file: file)
        return template
    }

    /// A guest's name, or a variable that will hold one.
    private func guest(_ name: String, _ line: ScenarioLine) throws(ScenarioError) -> Template {
        let template = try template(name, line)
        guard !template.variables.isEmpty || names.guest(name) != nil else {
            throw error(line, .unknownName(name, kind: "guest"))
        }
        return template
    }

    private func guests(
        after word: String?, _ words: ArraySlice<String>, _ line: ScenarioLine
    ) throws(ScenarioError) -> [Template] {
        guard word == nil || words.first == word else {
            throw error(line, .missing("\"on\" and a guest", in: line.head))
        }
        var guests: [Template] = []
        for name in word == nil ? words : words.dropFirst() { guests.append(try guest(name, line)) }
        guard !guests.isEmpty else { throw error(line, .missing("a guest", in: line.head)) }
        return guests
    }

    private func error(_ line: ScenarioLine, _ kind: ScenarioError.Kind) -> ScenarioError {
        ScenarioError(file: file, line: line.number, kind: kind)
    }
}

extension Action {
    /// Whether a line that begins with `word` may stand behind this.
    fileprivate func has(outcome word: String) -> Bool {
        switch self {
        case .command, .host: true
        case .waitForJob: word != "in"
        case .boot: ["fails", "says", "never", "within"].contains(word)
        case .console: ["says", "never", "within"].contains(word)
        case .agent, .waitForLink: word == "within"
        case .machine, .plug, .press, .expect, .note: false
        }
    }
}

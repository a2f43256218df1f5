// SPDX-License-Identifier: Apache-2.0
import Foundation

extension Scenario {
    /// Reads the text of a scenario file; `file` is its name, for messages.
    public static func parse(_ text: String, name: String, file: String) throws(ScenarioError) -> Scenario {
        var parser = ScenarioParser(lines: ScenarioLine.split(text), file: file)
        return try parser.parse(name: name)
    }
}

/// Reads the structure of a scenario: title, guests, steps and blocks. Statements are `StatementParser`'s.
struct ScenarioParser {
    private var lines: ArraySlice<ScenarioLine>
    private let file: String
    private let lastLine: Int
    private var names = ScenarioNames()

    init(lines: [ScenarioLine], file: String) {
        self.lines = lines[...]
        self.file = file
        lastLine = lines.last?.number ?? 1
    }

    mutating func parse(name: String) throws(ScenarioError) -> Scenario {
        var title: String?
        var architecture: GuestArchitecture?
        while let line = lines.first, ["title", "guest", "arch"].contains(line.head) {
            lines.removeFirst()
            if line.head == "guest" {
                try guest(line)
            } else if line.head == "arch" {
                architecture = GuestArchitecture(rawValue: line.rest)
                guard architecture != nil else { throw error(line, .badValue(line.rest, wanted: "x86_64 or aarch64")) }
            } else {
                guard title == nil else { throw error(line, .duplicate("title")) }
                title = line.rest
            }
        }
        guard let title, !title.isEmpty else { throw error(lastLine, .missing("one line of text", in: "title")) }
        let items = try block(of: nil, inStep: false)
        guard !names.guests.isEmpty else { throw error(lastLine, .missing("at least one", in: "guest")) }
        guard items.contains(where: \.hasStep) else { throw error(lastLine, .missing("at least one", in: "step")) }
        let hasNode = names.guests.contains { $0.setup.section == .node }
        guard !hasNode || architecture == .aarch64 else {
            throw error(lastLine, .missing("\"arch aarch64\" at the top", in: "section node"))
        }
        let oneWay = names.guests.filter { $0.setup.section == .oneWay }
        guard oneWay.isEmpty || Set(oneWay.map(\.role)).count == 2 && names.guests.count == 2 else {
            throw error(lastLine, .missing("an exporter and an importer, both with it", in: "section one-way"))
        }
        return Scenario(
            name: name, title: title, architecture: architecture, guests: names.guests, items: items)
    }

    // MARK: Guests

    private mutating func guest(_ line: ScenarioLine) throws(ScenarioError) {
        let words = try StatementParser.words(line, file: file)
        guard words.count == 2 || (words.count == 4 && words[2] == "as") else {
            throw error(line, .missing("a name, and \"as exporter\" or \"as importer\" for another", in: "guest"))
        }
        let name = words[1]
        guard name != "host", name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "-" }) else {
            throw error(line, .badValue(name, wanted: "a name for a guest"))
        }
        guard names.guest(name) == nil else { throw error(line, .duplicate(name)) }
        guard let role = GuestRole(rawValue: words.last!) else {
            throw error(line, .badValue(words.last!, wanted: "exporter or importer"))
        }
        var declaration = GuestDeclaration(name: name, role: role)
        while let setting = lines.first, try declare(setting, in: &declaration) { lines.removeFirst() }
        names.guests.append(declaration)
    }

    /// Takes over a line of a guest's declaration; false where it is not one.
    private func declare(_ line: ScenarioLine, in guest: inout GuestDeclaration) throws(ScenarioError) -> Bool {
        let words = try StatementParser.words(line, file: file)
        switch words[0] {
        case "memory", "section", "doorbell", "rings":
            guard words.count == 2 else { throw error(line, .missing("one value", in: words[0])) }
            try StatementParser.apply(words[0], words[1], to: &guest.setup, at: line, file: file)
        case "image":
            let isOnDisk = words.suffix(2) == ["on", "disk"]
            guard words.count == (isOnDisk ? 4 : 2), let kind = ImageKind(rawValue: words[1]) else {
                throw error(line, .badValue(line.rest, wanted: "stock or bare, and \"on disk\" behind it or not"))
            }
            guest.image = kind
            guest.isOnDisk = isOnDisk
        case "ballast":
            guard words.count == 2, let size = ScenarioValue.size(words[1]) else {
                throw error(line, .badValue(line.rest, wanted: "a size, such as 64M"))
            }
            guest.ballast = size
        case "modules": guest.modules += words.dropFirst()
        case "package":
            guard words.count > 2, words.dropFirst(2).allSatisfy({ $0.hasPrefix("/") }) else {
                throw error(line, .missing("a Debian package and absolute paths in it", in: "package"))
            }
            guest.packageFiles += words.dropFirst(2).map { PackageFile(package: words[1], path: $0) }
        case "built":
            guard words.count == 3, words[2].hasPrefix("/"), !words[1].hasPrefix("/") else {
                throw error(line, .missing("a file below .build-guest/ARCH and its absolute path", in: "built"))
            }
            guest.builtFiles.append(BuiltFile(name: words[1], path: words[2]))
        case "stick", "uas", "keyboard", "sound":
            let device = try device(words, line)
            guard guest.devices.allSatisfy({ $0.name != device.name }) else {
                throw error(line, .duplicate(device.name))
            }
            // Keys cannot be sent to one of several.
            guard device.kind != .keyboard || guest.devices.allSatisfy({ $0.kind != .keyboard }) else {
                throw error(line, .duplicate("keyboard"))
            }
            guest.devices.append(device)
        default: return false
        }
        return true
    }

    private func device(_ words: [String], _ line: ScenarioLine) throws(ScenarioError) -> EmulatedDevice {
        let isDisk = words[0] == "stick" || words[0] == "uas"
        guard words.count == (isDisk ? 5 : 4), words[words.count - 2] == "on" else {
            let form =
                isDisk ? "a name, a size, \"on\" and a bus: \(words[0]) disk 64M on ehci" : "a name, \"on\" and a bus"
            throw error(line, .missing(form, in: words[0]))
        }
        guard names.device(words[1]) == nil else { throw error(line, .duplicate(words[1])) }
        let kind: EmulatedDevice.Kind
        switch words[0] {
        case "keyboard": kind = .keyboard
        case "sound": kind = .sound
        default:
            guard let size = ScenarioValue.size(words[2]), size % 512 == 0 else {
                throw error(line, .badValue(words[2], wanted: "a size in whole sectors, such as 64M"))
            }
            kind = words[0] == "stick" ? .stick(size) : .uas(size)
        }
        // ehci takes devices of 480 Mbit/s and no others.
        let buses = EmulatedDevice.Bus.allCases.filter { $0 == .xhci || kind != .sound }
        guard let bus = buses.first(where: { $0.rawValue == words.last }) else {
            throw error(line, .badValue(words.last!, wanted: buses.map(\.rawValue).joined(separator: " or ")))
        }
        return EmulatedDevice(name: words[1], kind: kind, bus: bus)
    }

    // MARK: Steps and blocks

    /// Items up to the `end` of `opening`, or up to the next step inside a step, or to the end of the file.
    private mutating func block(of opening: ScenarioLine?, inStep: Bool) throws(ScenarioError) -> [Item] {
        var items: [Item] = []
        while let line = lines.first {
            switch line.head {
            case "end":
                guard opening != nil else {
                    // A step ends with the block around it; outside of any block there is nothing to end.
                    guard inStep, depth > 0 else { throw error(line, .misplaced("end", belongs: "behind a block")) }
                    return items
                }
                lines.removeFirst()
                return items
            case "step":
                if inStep {
                    if let opening { throw error(opening, .unfinished(opening.head)) }
                    return items
                }
                items.append(try step())
            case "title", "guest", "arch": throw error(line, .misplaced(line.head, belongs: "before the first step"))
            case "repeat", "for":
                if inStep, opening == nil, isAroundSteps { return items }
                items.append(try loop(inStep: inStep))
            default:
                guard inStep else { throw error(line, .misplaced(line.head, belongs: "in a step")) }
                lines.removeFirst()
                try statement(line, into: &items)
            }
        }
        if let opening { throw error(opening, .unfinished(opening.head)) }
        return items
    }

    /// Whether the block that comes next holds steps: then it ends the step above it.
    private var isAroundSteps: Bool {
        lines.first { $0.head != "repeat" && $0.head != "for" }?.head == "step"
    }

    /// How many blocks that hold steps are open.
    private var depth = 0

    private mutating func step() throws(ScenarioError) -> Item {
        let line = lines.removeFirst()
        guard !line.rest.isEmpty else { throw error(line, .missing("a title", in: "step")) }
        let title = Template(line.rest)
        // A step may name in its title what it finds out itself.
        let items = try block(of: nil, inStep: true)
        try names.check([title], at: line, file: file)
        return .step(line: line.number, title: title, items)
    }

    private mutating func loop(inStep: Bool) throws(ScenarioError) -> Item {
        let line = lines.removeFirst()
        let words = try StatementParser.words(line, file: file)
        if !inStep { depth += 1 }
        defer { if !inStep { depth -= 1 } }
        if line.head == "repeat" {
            guard words.count == 5, words[2] == "|", words[3] == "full", let short = Int(words[1]),
                let full = Int(words[4]), short > 0, full >= short
            else { throw error(line, .missing("two counts: repeat 1 | full 5", in: "repeat")) }
            return .repeated(short: short, full: full, try block(of: line, inStep: inStep))
        }
        guard words.count > 3, words[2] == "in" else {
            throw error(line, .missing("a name, \"in\" and values", in: "for"))
        }
        let values = words.dropFirst(3).map { Template($0) }
        try names.check(values, at: line, file: file)
        names.variables.insert(words[1])
        return .each(variable: words[1], values: values, try block(of: line, inStep: inStep))
    }

    private mutating func statement(_ line: ScenarioLine, into items: inout [Item]) throws(ScenarioError) {
        var parser = StatementParser(names: names, file: file)
        if StatementParser.isOutcome(line) {
            guard case .statement(var last)? = items.last else {
                throw error(line, .outcomeWithoutCommand(line.head))
            }
            try parser.outcome(line, of: &last)
            items[items.count - 1] = .statement(last)
        } else {
            items.append(.statement(try parser.statement(line)))
        }
        names = parser.names
    }

    private func error(_ line: ScenarioLine, _ kind: ScenarioError.Kind) -> ScenarioError { error(line.number, kind) }
    private func error(_ line: Int, _ kind: ScenarioError.Kind) -> ScenarioError {
        ScenarioError(file: file, line: line, kind: kind)
    }
}

extension Item {
    fileprivate var hasStep: Bool {
        switch self {
        case .step: true
        case .repeated(_, _, let items), .each(_, _, let items): items.contains(where: \.hasStep)
        case .statement: false
        }
    }
}

/// What a scenario has named so far.
struct ScenarioNames {
    var guests: [GuestDeclaration] = []
    var variables: Set<String> = []
    var jobs: Set<String> = []

    func guest(_ name: String) -> GuestDeclaration? { guests.first { $0.name == name } }
    func device(_ name: String) -> EmulatedDevice? { guests.lazy.flatMap(\.devices).first { $0.name == name } }
    /// Which guest a device is plugged into.
    func owner(of device: String) -> GuestDeclaration? {
        guests.first { $0.devices.contains { $0.name == device } }
    }

    /// Demands that every variable in `templates` has got a value above.
    func check(_ templates: [Template], at line: ScenarioLine, file: String) throws(ScenarioError) {
        for name in templates.flatMap(\.variables) where !variables.contains(name) {
            throw ScenarioError(file: file, line: line.number, kind: .unknownName(name, kind: "variable"))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A scenario file that cannot be understood: where, and why.
public struct ScenarioError: Error, Equatable, CustomStringConvertible {
    public enum Kind: Equatable, Sendable {
        case unknownStatement(String)
        case misplaced(String, belongs: String)
        case missing(String, in: String)
        case badValue(String, wanted: String)
        case unknownName(String, kind: String)
        case duplicate(String)
        case outcomeWithoutCommand(String)
        case unfinished(String)
    }

    public let file: String
    public let line: Int
    public let kind: Kind

    public var description: String { "\(file):\(line): \(explanation)" }

    private var explanation: String {
        switch kind {
        case .unknownStatement(let word): "\"\(word)\" is no statement"
        case .misplaced(let word, let place): "\"\(word)\" belongs \(place)"
        case .missing(let what, let statement): "\"\(statement)\" wants \(what)"
        case .badValue(let value, let wanted): "\"\(value)\" is not \(wanted)"
        case .unknownName(let name, let kind): "there is no \(kind) \"\(name)\""
        case .duplicate(let name): "\"\(name)\" is there already"
        case .outcomeWithoutCommand(let word):
            "\"\(word)\" says what must come of a command, and there is none before it"
        case .unfinished(let word): "\"\(word)\" has no \"end\""
        }
    }
}

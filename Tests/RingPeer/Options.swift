// SPDX-License-Identifier: Apache-2.0
import RingBuffer

/// `name=value` arguments.
struct Options {
    enum Mistake: Error { case unknown(String), missing(String) }

    private var values: [String: String] = [:]

    init(_ arguments: some Sequence<String>) throws {
        for argument in arguments {
            guard let at = argument.firstIndex(of: "=") else { throw Mistake.unknown(argument) }
            values[String(argument[..<at])] = String(argument[argument.index(after: at)...])
        }
    }

    func text(_ name: String) throws -> String {
        guard let value = values[name] else { throw Mistake.missing(name) }
        return value
    }

    func number(_ name: String) throws -> Int {
        guard let value = Int(try text(name)) else { throw Mistake.missing(name) }
        return value
    }

    func number(_ name: String, or other: Int) throws -> Int { values[name] == nil ? other : try number(name) }

    func numbers(_ name: String) throws -> [Int] { try text(name).split(separator: ",").compactMap { Int($0) } }

    func copyMode() throws -> CopyMode {
        switch try text("copy") {
        case "block": return .block
        case "words": return .alignedWords
        case "scalars": return .scalars
        default: throw Mistake.unknown("copy")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One line of a scenario that is not empty and not a comment.
struct ScenarioLine {
    let number: Int
    /// Without the blanks around it.
    let text: String

    static func split(_ text: String) -> [ScenarioLine] {
        text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            guard !trimmed.isEmpty, !trimmed.hasPrefix("#") else { return nil }
            return ScenarioLine(number: index + 1, text: trimmed)
        }
    }

    /// The first word, and what stands behind it.
    var head: String { String(text.prefix { $0 != " " }) }
    var rest: String { text.dropFirst(head.count).trimmingCharacters(in: .whitespaces) }

    /// `NAME$ script`: who runs what.
    var command: (runner: String, script: String)? {
        guard head.count > 1, head.hasSuffix("$") else { return nil }
        return (String(head.dropLast()), rest)
    }

    /// The words; blanks are part of a word between double quotes, where `\n`, `\"` and `\\` stand for one
    /// character. A comma behind a word is left out. Nil where a quote does not end.
    var words: [String]? {
        var words: [String] = []
        var word = ""
        var isQuoted = false
        var wasQuoted = false
        var characters = text[...]
        func finish() {
            if !wasQuoted && word.hasSuffix(",") { word.removeLast() }
            if !word.isEmpty || wasQuoted { words.append(word) }
            word = ""
            wasQuoted = false
        }
        while let character = characters.popFirst() {
            switch character {
            case "\"":
                isQuoted.toggle()
                wasQuoted = true
            case "\\" where isQuoted:
                let escaped = characters.popFirst() ?? "\\"
                word.append(escaped == "n" ? "\n" : escaped)
            case " " where !isQuoted: finish()
            default: word.append(character)
            }
        }
        guard !isQuoted else { return nil }
        finish()
        return words
    }
}

/// Values that a scenario writes with a unit.
enum ScenarioValue {
    /// `64M`, `512K`, `1G`, or bytes.
    static func size(_ text: String) -> Int? {
        let units: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
        guard let last = text.last, let unit = units[last] else { return Int(text).flatMap { $0 > 0 ? $0 : nil } }
        guard let number = Int(text.dropLast()), number > 0 else { return nil }
        let (size, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow ? nil : size
    }

    /// `20s`, `2m`, or `500ms`.
    static func duration(_ text: String) -> Duration? {
        if text.hasSuffix("ms") { return Int(text.dropLast(2)).flatMap { $0 > 0 ? .milliseconds($0) : nil } }
        guard let number = Int(text.dropLast()), number > 0 else { return nil }
        switch text.last {
        case "s": return .seconds(number)
        case "m": return .seconds(number * 60)
        default: return nil
        }
    }
}

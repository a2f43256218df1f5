// SPDX-License-Identifier: Apache-2.0
import RingTransport

/// The arguments of a command: flags, flags with a value, and words.
final class CommandArguments {
    let command: String
    private(set) var flags: [String] = []
    private(set) var values: [(name: String, value: String)] = []
    private(set) var words: [String] = []

    private init(_ command: String) { self.command = command }

    /// - Parameters:
    ///   - flags, values: names that the command knows, `--runtime-dir` besides; `-b|--busid` are two names of one.
    ///   - words: how many words it takes at most.
    ///   - repeatable: the one flag that may be given more than once.
    /// - Throws: 64.
    @inline(never)
    static func parse(
        _ arguments: [String], command: String, flags: [String] = [], values: [String] = [], words: Int = 0,
        repeatable: String = ""
    ) throws(Diagnostic) -> CommandArguments {
        let result = CommandArguments(command)
        var i = 0
        while i < arguments.count {
            let argument = arguments[i]
            i += 1
            guard argument.rest(after: "-") != nil else {
                guard result.words.count < words else { throw unexpected(argument, command) }
                result.words.append(argument)
                continue
            }
            let parts = argument.rest(after: "--") == nil ? nil : argument.cut(at: "=")
            let name = parts?.before ?? argument
            if let flag = canonical(name, flags), parts == nil {
                result.flags.append(flag)
                continue
            }
            guard let option = canonical(name, values + ["--runtime-dir"]) else { throw unexpected(argument, command) }
            guard let value = parts?.behind ?? (i < arguments.count ? arguments[i] : nil) else {
                throw Diagnostic(.usage, "\(command): \(name) needs a value; see `ringway help \(command)`")
            }
            if parts == nil { i += 1 }
            if option != repeatable, result.value(option) != nil {
                throw Diagnostic(.usage, "\(command): \(name) is given twice; remove one of them")
            }
            result.values.append((option, value))
        }
        if let directory = result.value("--runtime-dir"), !Configuration.isRuntimeDirectory(directory) {
            throw Diagnostic(
                .usage, "\(command): --runtime-dir \(directory) must be \(Configuration.runtimeDirectoryForm)")
        }
        return result
    }

    /// The last of the names that stand for the same as `name`.
    private static func canonical(_ name: String, _ known: [String]) -> String? {
        for names in known {
            let all = names.parts(between: "|")
            if all.contains(name) { return all.last }
        }
        return nil
    }

    func has(_ flag: String) -> Bool { flags.contains(flag) }
    func all(_ name: String) -> [String] { all(of: [name]) }

    @inline(never)
    private func all(of names: [String]) -> [String] {
        var found: [String] = []
        for (name, value) in values where names.contains(name) { found.append(value) }
        return found
    }

    func value(_ name: String) -> String? { all(name).first }
    var runtimeDirectory: String { value("--runtime-dir") ?? "/run/ringway" }
    var agent: AgentClient { AgentClient(runtimeDirectory: runtimeDirectory) }

    /// The one thing that the command is about, as a word or as the value of one of the flags.
    /// - Throws: 64 when it is missing or given twice.
    func subject(_ names: [String], _ meaning: String) throws(Diagnostic) -> String {
        let given = words + all(of: names)
        guard given.count == 1 else {
            throw Diagnostic(.usage, "\(command): it needs one \(meaning); see `ringway help \(command)`")
        }
        return given[0]
    }
}

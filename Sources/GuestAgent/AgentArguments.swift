// SPDX-License-Identifier: Apache-2.0
import RingTransport

/// The arguments of `ringway agent` and `ringway config check`.
enum AgentArguments {
    /// Reads the file that `--config` names, or the default one if it exists, and then the flags.
    /// - Throws: 64 for a flag that does not exist or whose value is not valid, 66 and 77 for the file, 78 for what
    ///   it holds.
    static func parse(_ arguments: [String], command: String = "agent") throws(Diagnostic) -> Configuration {
        var flags: [(String, String)] = []
        var path: String?
        var i = 0
        while i < arguments.count {
            let argument = arguments[i]
            guard var name = argument.rest(after: "--") else { throw unexpected(argument, command) }
            var value: String?
            if let parts = name.cut(at: "=") {
                (name, value) = (parts.before, parts.behind)
            } else if i + 1 < arguments.count {
                i += 1
                value = arguments[i]
            }
            guard name == "config" || Configuration.keys.contains(where: { $0.name == name }) else {
                throw unexpected(argument, command)
            }
            guard let value else {
                throw Diagnostic(.usage, "\(command): --\(name) needs a value; see `ringway help \(command)`")
            }
            if name == "config" ? path != nil : flags.contains(where: { $0.0 == name }) {
                throw Diagnostic(.usage, "\(command): --\(name) is given twice; remove one of them")
            }
            if name == "config" { path = value } else { flags.append((name, value)) }
            i += 1
        }
        let configuration = Configuration()
        try read(path, into: configuration)
        for (name, value) in flags {
            try ConfigurationParser.set(name, value, place: "--" + name, code: .usage, in: configuration)
        }
        return configuration
    }

    private static func read(_ path: String?, into configuration: Configuration) throws(Diagnostic) {
        let name = path ?? Configuration.defaultPath
        switch FileSystem.text(name) {
        case .success(let text): try ConfigurationParser.parse(text, path: name, into: configuration)
        case .failure(let failure):
            if path == nil, failure.isAbsent { return }
            throw Diagnostic.system("reading the configuration \(name)", failure.error, "check --config")
        }
    }
}

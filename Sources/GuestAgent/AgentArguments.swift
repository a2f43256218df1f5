// SPDX-License-Identifier: Apache-2.0
import RingTransport

/// The arguments of `ringway agent` and `ringway config check`.
enum AgentArguments {
    /// Reads the file that `--config` names, or the default one if it exists, and then the flags.
    /// - Throws: 64 for a flag that does not exist or whose value is not valid, 66 and 77 for the file, 78 for what
    ///   it holds.
    static func parse(_ arguments: [String], command: String = "agent") throws(Diagnostic) -> Configuration {
        let arguments = try CommandArguments.parse(
            arguments, command: command, values: ["--config"] + Configuration.keys.map { "--" + $0.name })
        let configuration = Configuration()
        try read(arguments.value("--config"), into: configuration)
        for (name, value) in arguments.values where name != "--config" {
            try ConfigurationParser.set(
                name.rest(after: "--") ?? "", value, place: name, code: .usage, in: configuration)
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

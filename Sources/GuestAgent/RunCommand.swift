// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// `ringway run -- PROGRAM …`: executes a program with the socket shim loaded before it.
final class RunCommand {
    let runtimeDirectory: String
    let library: String?
    let ports: [String]
    let isVerbose: Bool
    let isDirect: Bool
    let program: [String]

    private init(_ arguments: CommandArguments, program: [String]) {
        runtimeDirectory = arguments.runtimeDirectory
        library = arguments.value("--preload")
        ports = arguments.all("--port")
        isVerbose = arguments.has("--verbose")
        isDirect = arguments.has("--direct")
        self.program = program
    }

    @inline(never)
    static func parse(_ arguments: [String]) throws(Diagnostic) -> RunCommand {
        let end = arguments.firstIndex { $0 == "--" } ?? arguments.count
        let own = try CommandArguments.parse(
            Array(arguments[..<end]), command: "run", flags: ["--verbose", "--direct"],
            values: ["--preload", "--port"],
            repeatable: "--port")
        let command = RunCommand(own, program: Array(arguments.dropFirst(end + 1)))
        for port in command.ports where !isPort(port) {
            throw Diagnostic(.usage, "run: --port \(port) must be PORT or PORT:SERVICE, numbers from 1 to 65535")
        }
        guard !command.program.isEmpty else {
            throw Diagnostic(.usage, "run: no program; write `ringway run -- PROGRAM …`")
        }
        return command
    }

    /// `PORT` or `PORT:SERVICE`.
    private static func isPort(_ text: String) -> Bool {
        let parts = text.parts(between: ":")
        for part in parts where number(part, in: 1...65535) == nil { return false }
        return parts.count <= 2
    }

    /// Does not return when the program could be executed.
    @inline(never)
    func execute() throws(Diagnostic) -> ExitCode {
        let library = try findLibrary()
        let path = try findProgram()
        if let why = Executable.cannotBePreloaded(path, library: library) {
            throw Diagnostic(.cannotRun, "running \(path): \(why), so its socket calls cannot be replaced")
        }
        let before = environment("LD_PRELOAD")
        let words = Self.pointers(program)
        var settings = [
            "LD_PRELOAD=" + (before.isEmpty ? library : library + ":" + before),
            "RINGWAY_RUNTIME_DIR=" + runtimeDirectory,
            "RINGWAY_PORTS=" + (ports.isEmpty ? "3240" : ports.joined(by: ",")),
        ]
        if isVerbose { settings.append("RINGWAY_VERBOSE=1") }
        if isDirect { settings.append("RINGWAY_DIRECT=1") }
        let variables = Self.pointers(settings)
        let error = path.withCString { name in
            cs_execute(name, words, variables)
            return cs_errno()
        }
        throw Diagnostic(
            error == ENOENT ? .programNotFound : .cannotRun, "running \(path): \(systemMessage(error))")
    }

    private func environment(_ name: String) -> String {
        guard let value = name.withCString({ getenv($0) }) else { return "" }
        return String(terminated: value)
    }

    /// As execve wants it; never freed.
    private static func pointers(_ texts: [String]) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> {
        let all = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: texts.count + 1)
        for i in 0..<texts.count { all[i] = texts[i].withCString { strdup($0) } }
        all[texts.count] = nil
        return all
    }

    /// `--preload`, else beside this executable, else where packages put it.
    /// - Returns: its absolute path, which means the same to a program that changes its directory.
    private func findLibrary() throws(Diagnostic) -> String {
        let name = "libringway-preload.so"
        let directory = Executable.ownDirectory()
        let places = library.map { [$0] } ?? [directory + "/" + name, directory + "/../lib/ringway/" + name]
        for place in places where FileSystem.isReadable(place) {
            guard let path = FileSystem.absolute(place) else { continue }
            // The loader takes both as separators, and has no way to escape them.
            if path.cut(at: ":") != nil || path.cut(at: " ") != nil {
                throw Diagnostic(
                    .usage, "loading \(path): the dynamic loader takes no path with a space or colon; move the file")
            }
            return path
        }
        throw Diagnostic(
            .noSuch, "looking for \(name) in \(places.joined(by: ", ")): not found; name it with --preload")
    }

    /// As a shell does: a file that is there but cannot be executed is 126, none at all 127.
    private func findProgram() throws(Diagnostic) -> String {
        let name = program[0]
        if name.cut(at: "/") != nil {
            if FileSystem.exists(name) { return name }
            throw Diagnostic(.programNotFound, "running \(name): there is no such program")
        }
        let path = environment("PATH")
        var passedOver: String?
        for directory in (path.isEmpty ? Self.standardPath : path).parts(between: ":") where !directory.isEmpty {
            let candidate = directory + "/" + name
            if FileSystem.isExecutable(candidate) { return candidate }
            if passedOver == nil, !name.isEmpty, FileSystem.exists(candidate) { passedOver = candidate }
        }
        if let passedOver {
            throw Diagnostic(.cannotRun, "running \(passedOver): it is not executable; chmod +x makes it so")
        }
        throw Diagnostic(.programNotFound, "running \(name): there is no such program in PATH; install it")
    }

    private static let standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// `ringway run -- PROGRAM …`: executes a program with the socket shim loaded before it.
struct RunCommand {
    var runtimeDirectory = "/run/ringway"
    var library: String?
    var ports: [String] = []
    var program: [String] = []

    static func parse(_ arguments: [String]) throws(Diagnostic) -> RunCommand {
        var command = RunCommand()
        var i = 0
        while i < arguments.count, arguments[i] != "--" {
            guard i + 1 < arguments.count else { throw unexpected(arguments[i], "run") }
            switch arguments[i] {
            case "--preload": command.library = arguments[i + 1]
            case "--runtime-dir": command.runtimeDirectory = arguments[i + 1]
            case "--port":
                guard let port = UInt16(arguments[i + 1]), port > 0 else {
                    throw Diagnostic(.usage, "run: --port \(arguments[i + 1]) must be a number from 1 to 65535")
                }
                command.ports.append(compose("\(port)"))
            default: throw unexpected(arguments[i], "run")
            }
            i += 2
        }
        command.program = Array(arguments.dropFirst(i + 1))
        guard !command.program.isEmpty else {
            throw Diagnostic(.usage, "run: no program; write `ringway run -- PROGRAM …`")
        }
        return command
    }

    /// Does not return when the program could be executed.
    func execute() throws(Diagnostic) -> ExitCode {
        let library = try findLibrary()
        let path = try findProgram()
        if let why = Executable.cannotBePreloaded(path) {
            throw Diagnostic(.cannotRun, "running \(path): \(why), so its socket calls cannot be replaced")
        }
        let before = environment("LD_PRELOAD")
        set("LD_PRELOAD", before.isEmpty ? library : library + ":" + before)
        set("RINGWAY_RUNTIME_DIR", runtimeDirectory)
        set("RINGWAY_PORTS", ports.isEmpty ? "3240" : ports.joined(separator: ","))
        var pointers: [UnsafeMutablePointer<CChar>?] = program.map { $0.withCString { strdup($0) } }
        pointers.append(nil)
        _ = path.withCString { name in
            pointers.withUnsafeMutableBufferPointer { execv(name, $0.baseAddress!) }
        }
        let error = cs_errno()
        throw Diagnostic(
            error == ENOENT ? .programNotFound : .cannotRun, "running \(path): \(systemMessage(error))")
    }

    private func environment(_ name: String) -> String {
        guard let value = name.withCString({ getenv($0) }) else { return "" }
        return String(cString: value)
    }

    private func set(_ name: String, _ value: String) {
        _ = name.withCString { n in value.withCString { v in setenv(n, v, 1) } }
    }

    /// `--preload`, else beside this executable, else where packages put it.
    private func findLibrary() throws(Diagnostic) -> String {
        let name = "libringway-preload.so"
        let directory = Executable.ownDirectory()
        let places = library.map { [$0] } ?? ["\(directory)/\(name)", "\(directory)/../lib/ringway/\(name)"]
        for place in places where FileSystem.isReadable(place) { return place }
        throw Diagnostic(
            .noSuch, "looking for \(name) in \(places.joined(separator: ", ")): not found; name it with --preload")
    }

    private func findProgram() throws(Diagnostic) -> String {
        let name = program[0]
        if name.contains("/") {
            if FileSystem.exists(name) { return name }
            throw Diagnostic(.programNotFound, "running \(name): there is no such program")
        }
        let path = environment("PATH")
        for directory in (path.isEmpty ? "/usr/bin:/bin" : path).split(separator: ":") {
            let candidate = compose("\(directory)/\(name)")
            if FileSystem.isExecutable(candidate) { return candidate }
        }
        throw Diagnostic(.programNotFound, "running \(name): there is no such program in PATH")
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation

/// One program run on this machine: its output captured, its time limited, its failure typed.
///
/// Output goes to unlinked files and not to pipes: a daemon that the program leaves behind can then
/// neither fill a pipe nor keep the rig waiting for its end.
public struct HostCommand: Sendable {
    /// What a finished program left behind.
    public struct Output: Sendable {
        /// The exit status; 128 + n after signal n, as a shell says it.
        public let status: Int32
        public let standardOutput: Data
        public let standardError: Data

        /// Standard output as text.
        public var text: String { String(decoding: standardOutput, as: UTF8.self) }
        /// Standard error as text.
        public var errorText: String { String(decoding: standardError, as: UTF8.self) }
    }

    public var program: String
    public var arguments: [String]
    /// Added to this process's environment.
    public var environment: [String: String]
    public var directory: URL?
    /// The file that the program reads; nothing when nil.
    public var input: URL?
    /// The file that standard output is written to instead of being captured.
    public var output: URL?
    public var timeLimit: Duration

    public init(
        _ program: String, _ arguments: [String] = [], environment: [String: String] = [:],
        directory: URL? = nil, input: URL? = nil, output: URL? = nil, timeLimit: Duration = .seconds(120)
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.input = input
        self.output = output
        self.timeLimit = timeLimit
    }

    /// The command as a person would type it.
    public var line: String { ([program] + arguments).joined(separator: " ") }

    /// Where `name` lies in PATH (or itself, when it is a path), or nil.
    public static func find(_ name: String) -> URL? {
        if name.contains("/") {
            return FileManager.default.isExecutableFile(atPath: name) ? URL(fileURLWithPath: name) : nil
        }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        // The administrator's folders too: depmod lies there, and a plain user's PATH omits them.
        for folder in "\(path):/usr/sbin:/sbin".split(separator: ":") {
            let candidate = "\(folder)/\(name)"
            if FileManager.default.isExecutableFile(atPath: candidate) { return URL(fileURLWithPath: candidate) }
        }
        return nil
    }

    /// Runs to the end and returns whatever status came out.
    public func run() throws -> Output {
        guard let executable = Self.find(program) else {
            throw RigError(
                tried: "run \(program)", happened: "there is no such program on this machine",
                remedy: "install the package that holds \(program)")
        }
        let input = try input.map { try FileHandle(forReadingFrom: $0) } ?? FileHandle.nullDevice
        let captured = try output.map { try Self.create($0) } ?? Self.temporary()
        let errors = try Self.temporary()
        let streams = [input, captured, errors].map(\.fileDescriptor)
        let status = try withExtendedLifetime((input, captured, errors)) {
            try wait(for: start(executable, streams: streams))
        }
        return Output(
            status: status, standardOutput: output == nil ? try Self.contents(captured) : Data(),
            standardError: try Self.contents(errors))
    }

    /// Runs to the end; any status but 0 is a `RigError` that carries the end of what the program said.
    @discardableResult
    public func check(remedy: String = "read what the program says, mend it and try again") throws -> Output {
        let result = try run()
        guard result.status == 0 else {
            let words = Self.tail(result.errorText.isEmpty ? result.text : result.errorText)
            throw RigError(
                tried: "run `\(line)`",
                happened: "it ended with status \(result.status)" + (words.isEmpty ? "" : " and said:\n\(words)\n"),
                remedy: remedy)
        }
        return result
    }

    /// Starts the program with `streams` as its standard input, output and error. Not by Foundation's `Process`: that
    /// one waits for every process which the program leaves behind, too.
    private func start(_ executable: URL, streams: [Int32]) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (number, stream) in streams.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, stream, Int32(number))
        }
        // A rig that takes Ctrl-C as an event blocks the signal; what it runs shall still end by it.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        // A folder to start in is a GNU extension of posix_spawn that Swift does not see; env has it too.
        let command = (directory.map { ["/usr/bin/env", "-C", $0.path] } ?? []) + [executable.path] + arguments
        var words = command.map { strdup($0) } + [nil]
        var settings = variables.map { strdup("\($0)=\($1)") } + [nil]
        defer { (words + settings).forEach { free($0) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, command[0], &actions, &attributes, &words, &settings)
        guard error == 0 else {
            throw RigError(
                tried: "run `\(line)`",
                happened: "\(executable.path) did not start: \(String(cString: strerror(error)))",
                remedy: "check that the file is a program for this machine")
        }
        return pid
    }

    private func wait(for pid: pid_t) throws -> Int32 {
        let ended = DispatchSemaphore(value: 0)
        Thread {
            // Not reaped here: until it is, the pid is nobody else's, and safe to kill.
            var information = siginfo_t()
            while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
            ended.signal()
        }.start()
        let late = ended.wait(timeout: .now() + Progress.seconds(timeLimit)) == .timedOut
        if late { kill(pid, SIGKILL) }
        var raw: Int32 = 0
        while waitpid(pid, &raw, 0) < 0 && errno == EINTR {}
        guard !late else {
            throw RigError(
                tried: "run `\(line)`",
                happened: "it had not ended after \(Progress.fixed(Progress.seconds(timeLimit))) s and was killed",
                remedy: "find out what it waits for, or give it more time")
        }
        return cs_wifexited(raw) ? cs_wexitstatus(raw) : 128 + cs_wtermsig(raw)
    }

    private static func create(_ url: URL) throws -> FileHandle {
        guard FileManager.default.createFile(atPath: url.path, contents: nil) else {
            throw RigError(
                tried: "write \(url.path)", happened: "the file cannot be made",
                remedy: "check that the folder exists and may be written")
        }
        return try FileHandle(forUpdating: url)
    }

    private static func temporary() throws -> FileHandle {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("ringway-\(UUID().uuidString)")
        let handle = try create(url)
        try FileManager.default.removeItem(at: url)
        return handle
    }

    private static func contents(_ handle: FileHandle) throws -> Data {
        try handle.seek(toOffset: 0)
        return try handle.readToEnd() ?? Data()
    }

    /// The last lines of a program's words: enough to see why, short enough to read.
    static func tail(_ text: String, lines: Int = 12) -> String {
        text.split(separator: "\n").suffix(lines).joined(separator: "\n")
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation

/// A long-lived program that the rig started: told apart from a later process with the same pid by its start time.
public struct ProcessIdentity: Codable, Sendable, Equatable {
    public let pid: Int32
    /// In clock ticks since boot: field 22 of /proc/PID/stat.
    public let startTime: UInt64

    init?(pid: Int32) {
        guard let startTime = Self.startTime(of: pid) else { return nil }
        self.pid = pid
        self.startTime = startTime
    }

    /// Whether that very process still runs.
    public var isAlive: Bool { Self.startTime(of: pid) == startTime && Self.state(of: pid) != "Z" }

    /// Ends the process at once, unless it has ended before.
    public func kill() {
        if isAlive { Foundation.kill(pid, SIGKILL) }
    }

    private static func fields(of pid: Int32) -> [Substring]? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return nil }
        return text[text.index(after: end)...].split(separator: " ")
    }

    private static func startTime(of pid: Int32) -> UInt64? { fields(of: pid).flatMap { UInt64($0[19]) } }
    private static func state(of pid: Int32) -> Substring? { fields(of: pid)?[0] }
}

/// A program that runs beside the rig until it ends or is killed.
///
/// Foundation's `Process` is not used: the rig wants the program in a process group of its own, so that a Ctrl-C
/// reaches the rig alone, and its output in files that survive both.
final class ChildProcess {
    let identity: ProcessIdentity
    private var status: Int32?

    /// Starts `program` with its standard output and error in the file `output`.
    init(_ program: URL, _ arguments: [String], output: URL) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output.path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        Self.keepDescriptorsPrivate()
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        posix_spawnattr_setpgroup(&attributes, 0)

        var pid: pid_t = 0
        var words = ([program.path] + arguments).map { strdup($0) } + [nil]
        defer { words.forEach { free($0) } }
        let error = posix_spawn(&pid, program.path, &actions, &attributes, &words, environ)
        guard error == 0, let identity = ProcessIdentity(pid: pid) else {
            throw RigError(
                tried: "start \(program.path)", happened: String(cString: strerror(error)),
                remedy: "check that the file is a program for this machine")
        }
        self.identity = identity
    }

    /// How the program ended, as a shell says it; nil while it runs.
    func exitStatus() -> Int32? {
        if status == nil {
            var raw: Int32 = 0
            if waitpid(identity.pid, &raw, WNOHANG) == identity.pid { status = Self.shellStatus(raw) }
        }
        return status
    }

    /// Waits for its end. - Returns: how it ended, as a shell says it.
    func wait() -> Int32 {
        var raw: Int32 = 0
        while status == nil {
            if waitpid(identity.pid, &raw, 0) == identity.pid { status = Self.shellStatus(raw) }
            if status == nil, errno != EINTR { status = -1 }
        }
        return status ?? -1
    }

    /// Ends the program at once and waits until it is gone.
    func kill() {
        guard exitStatus() == nil else { return }
        Foundation.kill(identity.pid, SIGKILL)
        var raw: Int32 = 0
        while waitpid(identity.pid, &raw, 0) < 0 && errno == EINTR {}
        status = Self.shellStatus(raw)
    }

    /// A virtual machine shall hold open what it was given, and nothing that the rig happens to have open.
    private static func keepDescriptorsPrivate() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        for descriptor in names.compactMap({ Int32($0) }) where descriptor > 2 {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
    }

    private static func shellStatus(_ raw: Int32) -> Int32 {
        cs_wifexited(raw) ? cs_wexitstatus(raw) : 128 + cs_wtermsig(raw)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport

/// A program that runs: what it prints is collected, and it is gone when the last reference goes.
final class Program {
    let pid: pid_t
    private let output: Int32
    private var collected: [UInt8] = []
    private var isAtEnd = false
    private var status: Int32?

    /// Numbers that inherited descriptors get.
    static let firstDescriptor: Int32 = 10

    /// - Parameters:
    ///   - environment: added to this process's own.
    ///   - descriptors: inherited as ``firstDescriptor`` and the numbers that follow.
    init(_ path: String, _ arguments: [String], environment: [String: String] = [:], descriptors: [Int32] = []) throws {
        // A pair of sockets for a pipe: closed on exec from the start, so that no program that another test
        // starts meanwhile keeps it open.
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0, &ends) == 0 else {
            throw SystemFailure("socketpair")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        for target in [Int32(1), 2] { posix_spawn_file_actions_adddup2(&actions, ends[1], target) }
        // Through numbers far above, so that none is overwritten before it is copied.
        for (i, fd) in descriptors.enumerated() { posix_spawn_file_actions_adddup2(&actions, fd, 500 + Int32(i)) }
        for i in 0..<Int32(descriptors.count) {
            posix_spawn_file_actions_adddup2(&actions, 500 + i, Self.firstDescriptor + i)
            posix_spawn_file_actions_addclose(&actions, 500 + i)
        }
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let words = ([path] + arguments).map { strdup($0) }
        let settings = variables.map { strdup("\($0.key)=\($0.value)") }
        defer { (words + settings).forEach { free($0) } }
        var child: pid_t = -1
        let error = posix_spawn(&child, path, &actions, nil, words + [nil], settings + [nil])
        close(ends[1])
        output = ends[0]
        pid = child
        guard error == 0 else {
            cs_set_errno(error)
            throw SystemFailure("start of \(path)")
        }
    }

    deinit {
        if status == nil {
            kill(pid, SIGKILL)
            _ = reap()
        }
        // What it started lives no longer than it does; the end of its output says that they are gone.
        _ = read(until: Deadline(seconds: 10)) { _ in false }
        close(output)
    }

    /// What it has printed, stdout and stderr, as far as it was read.
    var text: String { String(decoding: collected, as: UTF8.self) }

    /// Reads what it prints until `isEnough`, or until it and all that it started have ended.
    /// - Returns: false when the time is up, or it ended before it was enough.
    func read(until deadline: Deadline, _ isEnough: (String) -> Bool) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            if isEnough(text) { return true }
            if isAtEnd || !deadline.wait(forInput: output) { return false }
            let count = Glibc.read(output, &buffer, buffer.count)
            if count > 0 { collected += buffer[..<count] } else if cs_errno() != EINTR || count == 0 { isAtEnd = true }
        }
    }

    /// Waits until it prints `words`, from the start or from the text after `mark`.
    func prints(_ words: String, after mark: Int = 0, seconds: Double = 20) -> Bool {
        read(until: Deadline(seconds: seconds)) { $0.utf8.count > mark && $0.dropFirst(mark).contains(words) }
    }

    private func reap() -> Int32 {
        if let status { return status }
        var raw: Int32 = 0
        while waitpid(pid, &raw, 0) < 0, cs_errno() == EINTR {}
        let result = cs_wifexited(raw) ? cs_wexitstatus(raw) : 128 + cs_wtermsig(raw)
        status = result
        return result
    }

    /// Waits for its end, and ends it when the time is up.
    /// - Returns: its exit status, 128 + signal when it was killed.
    func finish(seconds: Double = 20) -> Int32 {
        if !read(until: Deadline(seconds: seconds), { _ in false }), !isAtEnd { kill(pid, SIGKILL) }
        return reap()
    }

    func kill(_ signal: Int32) { Self.kill(pid, signal) }
    private static func kill(_ pid: pid_t, _ signal: Int32) { Glibc.kill(pid, signal) }
    private func kill(_ pid: pid_t, _ signal: Int32) { Self.kill(pid, signal) }

    /// Processes that it started itself, found in /proc.
    var children: [pid_t] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.compactMap { pid_t($0) }.filter { candidate in
            guard let stat = try? String(contentsOfFile: "/proc/\(candidate)/stat", encoding: .utf8),
                let end = stat.lastIndex(of: ")")
            else { return false }
            let fields = stat[stat.index(after: end)...].split(separator: " ")
            return fields.count > 1 && fields[1] == "\(pid)"
        }
    }
}

/// A point in time until which something is waited for.
struct Deadline {
    private let end: ContinuousClock.Instant

    init(seconds: Double) { end = .now + .seconds(seconds) }

    var isPast: Bool { ContinuousClock.now >= end }

    private var milliseconds: Int32 {
        let left = ContinuousClock.now.duration(to: end) / .milliseconds(1)
        return Int32(max(0, min(left, 60_000)).rounded(.up))
    }

    /// - Returns: false when nothing came in time.
    func wait(forInput fd: Int32) -> Bool {
        while true {
            var entry = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
            let ready = poll(&entry, 1, milliseconds)
            if ready > 0 { return true }
            if ready == 0 || cs_errno() != EINTR { return false }
        }
    }
}

/// A `ringway` to test.
struct Build: Sendable, CustomStringConvertible {
    let description: String
    let path: String

    /// The ordinary build, which stands beside the test program.
    static let ordinary = Build(description: "ordinary", path: Self.folder + "/ringway")

    /// The guest's, where `make guest` has made it for this machine.
    static let guest = Build(
        description: "guest", path: "\(Self.root)/.build-guest/\(Self.architecture)/ringway")

    static let all = [ordinary, guest].filter { access($0.path, X_OK) == 0 }

    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    private static let folder: String = {
        let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/"
        return URL(fileURLWithPath: path).deletingLastPathComponent().path
    }()

    #if arch(x86_64)
    private static let architecture = "x86_64"
    #else
    private static let architecture = "aarch64"
    #endif

    /// Runs it to its end.
    func run(_ arguments: [String], environment: [String: String] = [:]) throws -> (status: Int32, text: String) {
        let program = try Program(path, arguments, environment: environment)
        let status = program.finish()
        return (status, program.text)
    }
}

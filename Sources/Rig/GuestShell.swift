// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Runs shell scripts in a guest over its second serial port.
///
/// The rig sends `RUN <id> <base64 of the script>`; the guest answers `DONE <id> <status> <base64 of what it
/// printed>`. Scripts run beside each other, and answers come in the order in which they end.
final class GuestShell {
    /// What a script left behind: its status and what it printed on standard output and error.
    struct Output: Equatable {
        let status: Int
        let text: String
    }

    /// A script that runs.
    struct Job: Hashable {
        fileprivate let id: Int
        let script: String
    }

    let guest: String
    private let socket: UnixSocket
    private var decoder = GuestShellDecoder()
    private var lastID: Int
    private var finished: [Int: Output] = [:]

    init(guest: String, path: String) throws {
        self.guest = guest
        socket = try UnixSocket.connect(to: path)
        // Answers to whoever spoke to the guest before must not be taken for answers to this shell.
        lastID = Int.random(in: 1...0xFFFF) << 16
    }

    /// Runs `script` and waits for its end.
    func run(_ script: String, timeLimit: Duration = .seconds(60)) throws -> Output {
        try wait(for: start(script), timeLimit: timeLimit)
    }

    /// Starts `script` and does not wait.
    func start(_ script: String) throws -> Job {
        lastID += 1
        let line = "RUN \(lastID) \(Data(script.utf8).base64EncodedString())\n"
        guard socket.send(Array(line.utf8)) else {
            throw failure(script, "the virtual machine has ended", "read its console in the run's folder")
        }
        return Job(id: lastID, script: script)
    }

    /// Waits for the end of `job`.
    func wait(for job: Job, timeLimit: Duration) throws -> Output {
        let deadline = ContinuousClock.now + timeLimit
        while true {
            if let output = finished.removeValue(forKey: job.id) { return output }
            guard socket.waitReadable(deadline - .now) else {
                let seconds = Progress.fixed(Progress.seconds(timeLimit))
                throw failure(
                    job.script, "no end after \(seconds) s", "find out what it waits for, or give it more time")
            }
            guard let bytes = socket.receive(), !bytes.isEmpty else {
                throw failure(job.script, "the virtual machine has ended", "read its console in the run's folder")
            }
            for answer in decoder.feed(bytes) { finished[answer.id] = answer.output }
        }
    }

    private func failure(_ script: String, _ happened: String, _ remedy: String) -> RigError {
        let first = script.split(separator: "\n").first.map(String.init) ?? ""
        return RigError(tried: "run `\(first)` in \(guest)", happened: happened, remedy: remedy)
    }
}

/// Finds the answers among what arrives on the serial line. Anything else on it is skipped.
struct GuestShellDecoder {
    private var pending: [UInt8] = []

    mutating func feed(_ bytes: [UInt8]) -> [(id: Int, output: GuestShell.Output)] {
        // An answer of megabytes comes in thousands of pieces: only what is new can hold its end.
        var searched = pending.count
        pending += bytes
        var answers: [(id: Int, output: GuestShell.Output)] = []
        while let end = pending[searched...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = String(decoding: pending[..<end], as: UTF8.self)
            pending.removeFirst(end + 1)
            searched = 0
            if let answer = Self.parse(line) { answers.append(answer) }
        }
        return answers
    }

    private static func parse(_ line: String) -> (id: Int, output: GuestShell.Output)? {
        let words = line.split { $0 == " " || $0 == "\r" || $0 == "\r\n" }
        guard words.count == 3 || words.count == 4, words[0] == "DONE", let id = Int(words[1]),
            let status = Int(words[2])
        else { return nil }
        // A script that prints nothing has an empty last word.
        guard let output = words.count == 4 ? Data(base64Encoded: String(words[3])) : Data() else { return nil }
        return (id, GuestShell.Output(status: status, text: String(decoding: output, as: UTF8.self)))
    }
}

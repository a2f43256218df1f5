// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport
import Testing

@testable import GuestAgent

/// `ringway status` against an agent that says what the test wants.
@Suite struct StatusCommandTests {
    let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    @Test func noAgent() throws {
        let result = try RingwayProgram("status", "--runtime-dir", folder.path).run()
        #expect(result.status == ExitCode.unavailable.rawValue)
        #expect(
            result.errors == "ringway: asking the agent at \(folder.path)/agent.sock: no agent is running; "
                + "start `ringway agent`\n")
        // A socket that an agent left behind.
        close(try listen())
        #expect(try RingwayProgram("status", "--runtime-dir", folder.path).run().status == 69)
    }

    /// A listener where the agent's would be. Not the agent's own function: that changes the umask, which all
    /// tests of this process share.
    func listen() throws -> Int32 {
        let path = folder.path + "/agent.sock"
        _ = unlink(path)
        var address = sockaddr_un()
        let length = cs_unix_address(&address, path)
        let listener = LocalSocket.create()
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, length) }
        }
        guard bound == 0, CShim.listen(listener, 1) == 0 else { throw SystemFailure("listening on \(path)") }
        return listener
    }

    /// Answers one question with `bytes`, and returns the question.
    func answer(_ bytes: [UInt8], to arguments: String...) throws -> (ControlProtocol.Request?, RingwayProgram.Result) {
        let listener = try listen()
        defer { close(listener) }
        let asked = Question()
        let thread = Thread { asked.serve(listener, bytes) }
        thread.start()
        var program = RingwayProgram("status", "--runtime-dir", folder.path)
        program.arguments += arguments
        let result = try program.run()
        asked.done.wait()
        return (asked.request, result)
    }

    /// The agent's side of one question.
    final class Question: @unchecked Sendable {
        var request: ControlProtocol.Request?
        let done = DispatchSemaphore(value: 0)

        func serve(_ listener: Int32, _ answer: [UInt8]) {
            defer { done.signal() }
            var waiting = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 10_000) == 1 else { return }
            let socket = LocalSocket.accept(listener)
            defer { close(socket) }
            var bytes = [UInt8](repeating: 0, count: ControlProtocol.size)
            waiting.fd = socket
            guard poll(&waiting, 1, 10_000) == 1, recv(socket, &bytes, bytes.count, 0) == bytes.count else { return }
            request = bytes.withUnsafeBytes { ControlProtocol.parse($0) }
            _ = answer.withUnsafeBytes { Output.writeAll(socket, $0) }
        }
    }

    @Test func printsWhatTheAgentSays() throws {
        let text = [UInt8]("link: up\nü\n".utf8)
        let (plain, result) = try answer(ControlProtocol.reply(0, following: text.count) + text)
        #expect(plain == .init(operation: .status, port: 0, flags: 0))
        #expect(result.status == 0 && result.output == "link: up\nü\n" && result.errors == "")
        let escapes = [UInt8]("a\u{1B}[2J\tü\r\u{7}\n".utf8)
        let (_, harmless) = try answer(ControlProtocol.reply(0, following: escapes.count) + escapes)
        #expect(harmless.output == "a?[2J?ü??\n")
        let (json, _) = try answer(ControlProtocol.reply(0), to: "--json")
        #expect(json?.flags == ControlProtocol.flagJSON)
    }

    /// An agent that dies while it answers, or that is none.
    @Test func anAnswerThatIsNone() throws {
        let text = [UInt8]("link: up\n".utf8)
        let good = ControlProtocol.reply(0, following: text.count) + text
        let refusal = ControlProtocol.reply(5)
        for bytes in [[], Array(good[..<15]), Array(good.dropLast()), good + [0], [0] + good, refusal] {
            let (_, result) = try answer(bytes)
            #expect(result.status == ExitCode.badProtocol.rawValue)
            #expect(result.output == "" && result.errors.contains("cut short"))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The preload library is compared with TCP: one program, once over each, must see the same.
@Suite(.enabled(if: !Variant.built.isEmpty, "`make guest probes` has not been run"))
struct ShimTests {
    static let cases = Variant.built.flatMap { variant in IPFamily.usable.map { Case(variant: variant, family: $0) } }

    struct Case: CustomTestStringConvertible, Sendable {
        let variant: Variant
        let family: IPFamily

        var testDescription: String { "\(variant.testDescription) IPv\(family.rawValue)" }

        func run(
            _ mode: String, port: UInt16, in directory: (any RuntimeDirectory)?, timeoutMilliseconds: Int = 20_000
        ) throws -> (lines: [String], errors: String, status: Int32) {
            try Probe.run(
                variant, mode, family, port: port, runtimeDirectory: directory,
                timeoutMilliseconds: timeoutMilliseconds)
        }
    }

    @Test(
        "a client sees over the ring what it sees over TCP", arguments: cases,
        ["client", "wildcard", "exec", "quiet", "followers", "connecting"])
    func client(_ this: Case, mode: String) throws {
        let listener = try TCPListener(this.family)
        listener.echoForEver()
        let overTCP = try this.run(mode, port: listener.port, in: nil)
        let agent = try FakeAgent(.echo)
        let overRing = try this.run(mode, port: listener.port, in: agent)
        #expect(overRing.lines == overTCP.lines)
        #expect(overRing.status == 0 && overRing.errors == "")
        #expect(overTCP.lines.count > 1)
        #expect(agent.requests == [[0x3143_5752, 4, UInt32(listener.port), 0, 0]])
    }

    @Test("options that are no integers", arguments: cases.filter(\.variant.isNative))
    func structures(_ this: Case) throws {
        let listener = try TCPListener(this.family)
        let agent = try FakeAgent(.echo)
        let overTCP = try this.run("structures", port: listener.port, in: nil)
        let overRing = try this.run("structures", port: listener.port, in: agent)
        #expect(overRing.lines == overTCP.lines)
    }

    @Test("flags set before connect are there after it", arguments: cases)
    func flags(_ this: Case) throws {
        let listener = try TCPListener(this.family)
        let overTCP = try this.run("keep-flags", port: listener.port, in: nil)
        let agent = try FakeAgent(.echo)
        let overRing = try this.run("keep-flags", port: listener.port, in: agent)
        #expect(overRing.lines == overTCP.lines)
        #expect(overRing.lines.contains("flags: nonblock 1 cloexec 1 receive limit 0 send limit 0"))
    }

    @Test("a refused connection has TCP's errno, and the socket is as it was", arguments: cases)
    func refused(_ this: Case) throws {
        let port = try TCPListener.freePort(this.family)
        let overTCP = try this.run("refused", port: port, in: nil)
        let overRing = try this.run("refused", port: port, in: FakeAgent(.refuse(ECONNREFUSED, "")))
        #expect(overRing.lines == overTCP.lines)
        let line =
            "ringway: connection to service \(port): no program listens for it in the peer's guest (error 111); "
            + "see `ringway status`\n"
        #expect(overRing.errors == line + line)
    }

    @Test("what the agent says about it is one line", arguments: Variant.built)
    func reason(_ variant: Variant) throws {
        let agent = try FakeAgent(.refuse(EHOSTUNREACH, "nobody is\nat home"))
        let result = try Case(variant: variant, family: .v4).run("refused", port: 3240, in: agent)
        let line = "ringway: connection to service 3240: nobody is at home\n"
        #expect(result.lines.first == "connect: EHOSTUNREACH" && result.errors == line + line)
    }

    @Test("a socket that is to wait by the second connect() does", arguments: cases.filter(\.variant.isNative))
    func waits(_ this: Case) throws {
        let listener = try TCPListener(this.family)
        let overTCP = try this.run("waits", port: listener.port, in: nil)
        let overRing = try this.run("waits", port: listener.port, in: FakeAgent(.whenWaiting))
        #expect(overRing.lines == overTCP.lines && overRing.errors == "")
        #expect(
            overRing.lines.filter { $0.hasPrefix("connect again") } == ["connect again: ok", "connect again: EISCONN"])
    }

    @Test("200 connections at once are begun", arguments: cases)
    func burst(_ this: Case) throws {
        let result = try this.run("burst", port: 3240, in: FakeAgent(.echo))
        #expect(result.lines == ["200 begun, 200 made"] && result.errors == "")
    }

    @Test("a connection that is not waited for is refused as TCP's is", arguments: cases)
    func refusedLater(_ this: Case) throws {
        let port = try TCPListener.freePort(this.family)
        let overTCP = try this.run("connecting", port: port, in: nil)
        let overRing = try this.run("connecting", port: port, in: FakeAgent(.refuse(ECONNREFUSED, "")))
        #expect(overRing.lines == overTCP.lines)
        #expect(overRing.lines.contains("SO_ERROR: 111 length 4") && overRing.errors == "")
    }

    @Test("a connection that nobody answers is as TCP's is: no room, nothing to read, no peer", arguments: cases)
    func unanswered(_ this: Case) throws {
        // A queue of one with somebody in it: TCP says nothing to the next.
        let listener = try TCPListener(this.family, backlog: 0)
        let first = try connectTCP(this.family, port: listener.port)
        defer { close(first) }
        let overTCP = try this.run("unanswered", port: listener.port, in: nil)
        let overRing = try this.run("unanswered", port: listener.port, in: FakeAgent(.silence))
        #expect(overRing.lines == overTCP.lines)
        #expect(overRing.lines.contains("send: EAGAIN") && overRing.lines.contains("connect again: EALREADY"))
    }

    @Test("the agent's errno is the program's", arguments: Variant.built, [EHOSTUNREACH, ETIMEDOUT, EACCES])
    func agentErrno(_ variant: Variant, error: Int32) throws {
        let agent = try FakeAgent(.refuse(error, ""))
        let result = try Case(variant: variant, family: .v4).run("refused", port: 3240, in: agent)
        let name = [EHOSTUNREACH: "EHOSTUNREACH", ETIMEDOUT: "ETIMEDOUT", EACCES: "EACCES"][error] ?? "?"
        #expect(result.lines.first == "connect: \(name)")
        #expect(result.errors.hasPrefix("ringway: connection to service 3240: "))
        #expect(result.errors.contains(" (error \(error)); see `ringway status`\n"))
    }

    @Test("a server sees over the ring what it sees over TCP", arguments: cases)
    func server(_ this: Case) throws {
        let port = try TCPListener.freePort(this.family)
        let overTCP = try serve(this, port: port, in: nil) { try connectTCP(this.family, port: port) }
        let folder = try ScratchFolder()
        let overRing = try serve(this, port: port, in: folder) {
            let path = "\(folder.path)/port/\(port).\(this.family.rawValue)"
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            return try connectService(folder.path, this.family, port: port)
        }
        #expect(overRing == overTCP)
    }

    private func serve(
        _ this: Case, port: UInt16, in directory: (any RuntimeDirectory)?, connect: () throws -> Int32
    ) throws -> [String] {
        let probe = try Probe(this.variant, "server", this.family, port: port, runtimeDirectory: directory)
        guard probe.wait(for: "READY") else { return probe.finish().lines + ["never ready"] }
        let answer = try converse(connect())
        #expect(answer == "hello")
        close(try connect())
        let result = probe.finish()
        #expect(result.status == 0 && result.errors == "")
        return result.lines
    }

    @Test("RINGWAY_VERBOSE says which call became what", arguments: Variant.built)
    func verbose(_ variant: Variant) throws {
        func said(_ mode: String, _ directory: any RuntimeDirectory) throws -> [String] {
            let probe = try Probe(
                variant, mode, .v4, port: 3240, runtimeDirectory: directory, environment: ["RINGWAY_VERBOSE": "1"])
            // Without the process's number.
            return probe.finish().errors.split(separator: "\n").map { line in
                line.split(separator: ": ", maxSplits: 2).dropFirst(2).joined()
            }
        }
        let made = try said("quiet", FakeAgent(.echo))
        #expect(made == ["connect(3, 127.0.0.1:3240): service 3240 of the peer: connected"])
        let refused = try said("refused", FakeAgent(.refuse(ECONNREFUSED, "nobody")))
        #expect(refused.contains("connect(3, 127.0.0.1:3240): service 3240 of the peer: refused (ECONNREFUSED)"))
        let begun = try said("keep-flags", FakeAgent(.echo))
        #expect(begun.first?.contains("EINPROGRESS") == true)
        let held = try said("hold", ScratchFolder())
        #expect(held == ["bind(3, 0.0.0.0:3240): service 3240: offered to the peer's programs"])
        let others = try said("others", ScratchFolder())
        #expect(others.contains("bind(3, 0.0.0.0:3240): left to TCP: not a fresh TCP socket of that family"))
        #expect(others.contains { $0.hasPrefix("bind(") && $0.contains("its port is not mapped; --port does that") })
    }

    @Test("other sockets are left alone", arguments: cases)
    func others(_ this: Case) throws {
        let port = try TCPListener.freePort(this.family)
        let without = try this.run("others", port: port, in: nil)
        let folder = try ScratchFolder()
        let with = try this.run("others", port: port, in: folder)
        #expect(with.lines == without.lines)
        #expect(with.errors == "" && with.lines.count > 40)
    }

    @Test("threads connect at the same time", arguments: Variant.built)
    func threads(_ variant: Variant) throws {
        let agent = try FakeAgent(.echo)
        let result = try Case(variant: variant, family: .v4).run("threads", port: 3240, in: agent)
        #expect(result.lines == ["200 connections, 0 wrong"])
        #expect(agent.requests.count == 200)
    }
}

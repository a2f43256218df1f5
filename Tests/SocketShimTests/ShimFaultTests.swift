// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The agent, the runtime directory or another program is not as it should be.
@Suite(.enabled(if: !Variant.built.isEmpty, "`make guest probes` has not been run"))
struct ShimFaultTests {
    /// Tries to connect while an agent of that kind is there.
    private func refused(
        _ variant: Variant, by answer: FakeAgent.Answer, milliseconds: Int = 20_000
    ) throws -> (line: String?, errors: String) {
        let agent = try FakeAgent(answer)
        return try refused(variant, in: agent, milliseconds: milliseconds)
    }

    private func refused(
        _ variant: Variant, in directory: any RuntimeDirectory, milliseconds: Int = 20_000
    ) throws -> (line: String?, errors: String) {
        let result = try Probe.run(
            variant, "refused", .v4, port: 3240, runtimeDirectory: directory, timeoutMilliseconds: milliseconds)
        return (result.lines.first, result.errors)
    }

    @Test("no agent: ECONNREFUSED and one line that says so", arguments: Variant.built)
    func noAgent(_ variant: Variant) throws {
        let folder = try ScratchFolder()
        let result = try refused(variant, in: folder)
        #expect(result.line == "connect: ECONNREFUSED")
        let line =
            "ringway: connection to service 3240: no agent answers at \(folder.path)/agent.sock; "
            + "start `ringway agent`\n"
        #expect(result.errors == line + line)
    }

    @Test("an agent that hangs up, or is none: ECONNREFUSED", arguments: Variant.built)
    func strangeAgent(_ variant: Variant) throws {
        let hangUp = try refused(variant, by: .hangUp)
        #expect(hangUp.line == "connect: ECONNREFUSED")
        #expect(hangUp.errors.contains("the agent closed the connection without an answer"))
        let garbage = try refused(variant, by: .garbage)
        #expect(garbage.line == "connect: ECONNREFUSED")
        #expect(garbage.errors.contains("is not a ringway agent of this version"))
    }

    @Test("an agent that is stopped: ETIMEDOUT and a line that asks", arguments: Variant.built)
    func stoppedAgent(_ variant: Variant) throws {
        let silent = try refused(variant, by: .silence, milliseconds: 100)
        #expect(silent.line == "connect: ETIMEDOUT")
        #expect(silent.errors.contains("did not answer in time"))
        let stopped = try refused(variant, by: .stopped, milliseconds: 100)
        #expect(stopped.line == "connect: ETIMEDOUT")
        #expect(stopped.errors.contains("is it stopped?"))
    }

    @Test("bytes right behind the agent's reply are the program's", arguments: Variant.built)
    func greeting(_ variant: Variant) throws {
        let agent = try FakeAgent(.greet("welcome "))
        let result = try Probe.run(variant, "wildcard", .v4, port: 3240, runtimeDirectory: agent)
        #expect(result.lines.last == "echo: welcome any")
    }

    @Test("an agent that has no stream to give is waited for", arguments: Variant.built)
    func noStream(_ variant: Variant) throws {
        let agent = try FakeAgent(.noStream)
        let result = try Probe.run(variant, "keep-flags", .v4, port: 3240, runtimeDirectory: agent)
        #expect(result.errors == "" && result.lines.contains("connect: ok"), "\(result.lines)")
        #expect(agent.requests.map { $0[1] } == [4, 1])
    }

    @Test("an agent that dies before a connection is made: ECONNREFUSED, and another try", arguments: Variant.built)
    func lostAgent(_ variant: Variant) throws {
        let result = try Probe.run(variant, "lost", .v4, port: 3240, runtimeDirectory: FakeAgent(.vanish))
        #expect(result.lines.contains("SO_ERROR: \(ECONNREFUSED) length 4"), "\(result.lines)")
        #expect(result.lines.suffix(2) == ["connect again: ECONNABORTED", "connect again: EINPROGRESS"])
    }

    @Test("no message goes into a program's own descriptor 2", arguments: Variant.built)
    func ownDescriptor(_ variant: Variant) throws {
        let folder = try ScratchFolder()
        let result = try Probe.run(variant, "own-stderr", .v4, port: 3240, runtimeDirectory: folder)
        #expect(result.lines.first == "connect: ECONNREFUSED")
        #expect(result.lines.last == "empty")
    }

    @Test("nor into a file of its own, nor into a pipe that is full or that nobody reads", arguments: Variant.built)
    func ownFile(_ variant: Variant) throws {
        let folder = try ScratchFolder()
        let file = try Probe.run(variant, "own-file", .v4, port: 3240, runtimeDirectory: folder)
        #expect(file.lines == ["connect: ECONNREFUSED", "8 DATAMORE"])
        // The child is this program as the kernel starts it.
        guard variant.isNative, variant.libc == "glibc" else { return }
        for reader in [[:], ["PROBE_READER_GONE": "1"]] {
            let environment = ["PROBE_PORT": "3240"].merging(reader) { $1 }
            let probe = try Probe(
                variant, "own-pipe", .v4, port: 3240, runtimeDirectory: folder, environment: environment)
            let lines = probe.finish().lines
            #expect(lines.contains("connect: ECONNREFUSED"), "\(reader): \(lines)")
            #expect(lines.last == "ended: 0 signal: 0", "\(reader)")
        }
    }

    @Test("a child that is forked meanwhile has no descriptor of the library", arguments: Variant.built)
    func forking(_ variant: Variant) throws {
        let result = try Probe.run(variant, "forking", .v4, port: 3240, runtimeDirectory: FakeAgent(.echo))
        #expect(result.lines == ["strange descriptors: 0"], "\(result.errors)")
    }

    @Test("a listener that one thread stops and another closes is gone, and its port free", arguments: Variant.built)
    func stopping(_ variant: Variant) throws {
        let result = try Probe.run(variant, "stopping", .v4, port: 3240, runtimeDirectory: ScratchFolder())
        #expect(result.lines.filter { $0 != "bind: ok" } == ["stopped: 100, more descriptors than before: 0"])
    }

    @Test("a listener of two processes is stopped for both, as over TCP", arguments: Variant.built)
    func sharedStop(_ variant: Variant) throws {
        let port = try TCPListener.freePort(.v4)
        let overTCP = try Probe.run(variant, "shared-stop", .v4, port: port, runtimeDirectory: nil)
        let overRing = try Probe.run(variant, "shared-stop", .v4, port: port, runtimeDirectory: ScratchFolder())
        #expect(overRing.lines == overTCP.lines && overTCP.lines.count > 8, "\(overRing.lines) \(overTCP.lines)")
    }

    @Test("who keeps the folder of services locked keeps nobody from listening", arguments: Variant.built)
    func lockedFolder(_ variant: Variant) throws {
        let folder = try ScratchFolder()
        #expect(mkdir(folder.path + "/port", 0o700) == 0)
        let lock = open(folder.path + "/port", O_RDONLY | O_DIRECTORY)
        defer { close(lock) }
        #expect(flock(lock, LOCK_EX) == 0)
        let probe = try Probe(variant, "hold", .v4, port: 3240, runtimeDirectory: folder)
        #expect(probe.wait(for: "HELD"))
        #expect(probe.finish().lines.first == "bind: ok")
    }

    @Test("a dead program's service is taken over, a living one's is not", arguments: Variant.built)
    func staleService(_ variant: Variant) throws {
        let folder = try ScratchFolder()
        let first = try Probe(variant, "hold", .v4, port: 3240, runtimeDirectory: folder)
        #expect(first.wait(for: "HELD"))
        let second = try Probe(variant, "hold", .v4, port: 3240, runtimeDirectory: folder)
        #expect(second.finish().lines.first == "bind: EADDRINUSE")
        first.kill()
        #expect(FileManager.default.fileExists(atPath: folder.path + "/port/3240.4"))
        let third = try Probe(variant, "hold", .v4, port: 3240, runtimeDirectory: folder)
        #expect(third.finish().lines.first == "bind: ok")
    }

    @Test("where the folder of services is a group's, its agent may connect", arguments: Variant.built)
    func sharedFolder(_ variant: Variant) throws {
        let modes = [(0o700, 0o600), (0o755, 0o600), (0o770, 0o666), (0o1770, 0o666), (0o777, 0o600)]
        for (folderMode, socketMode) in modes {
            let folder = try ScratchFolder()
            let services = folder.path + "/port"
            #expect(mkdir(services, 0o700) == 0 && chmod(services, mode_t(folderMode)) == 0)
            let probe = try Probe(variant, "hold", .v4, port: 3240, runtimeDirectory: folder)
            #expect(probe.wait(for: "HELD"))
            let attributes = try FileManager.default.attributesOfItem(atPath: services + "/3240.4")
            #expect(attributes[.posixPermissions] as? Int == socketMode, "in a folder of mode \(folderMode)")
            _ = probe.finish()
        }
    }

    @Test("of many programs that find a dead one's service, one gets it", arguments: Variant.built)
    func race(_ variant: Variant) throws {
        let folder = try ScratchFolder()
        let dead = try Probe(variant, "hold", .v4, port: 3240, runtimeDirectory: folder)
        #expect(dead.wait(for: "HELD"))
        dead.kill()
        let probes = try (0..<6).map { _ in
            try Probe(variant, "hold", .v4, port: 3240, runtimeDirectory: folder)
        }
        let held = probes.map { $0.wait(for: "HELD") }
        #expect(held.allSatisfy { $0 })
        let first = probes.map { $0.finish().lines.first ?? "nothing" }
        #expect(first.filter { $0 == "bind: ok" }.count == 1)
        #expect(first.filter { $0 == "bind: EADDRINUSE" }.count == 5)
    }
}

/// Says by name what the other suites cannot run, so that nothing is left out in silence.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["RINGWAY_TEST_GUEST"] != nil, "set by `make test`"))
struct BuiltTests {
    @Test("built and runnable", arguments: Variant.all)
    func isBuilt(_ variant: Variant) {
        #expect(variant.isBuilt, "run `make guest probes`")
    }
}

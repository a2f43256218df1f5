// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// What `make guest` builds, for each architecture.
private enum GuestBinary {
    static let machines: [String: UInt16] = ["x86_64": 62, "aarch64": 183]
    static let architectures = machines.keys.sorted()

    /// `make test` insists; elsewhere the binaries are looked at if they are there.
    static let areWanted =
        ProcessInfo.processInfo.environment["RINGWAY_TEST_GUEST"] != nil
        || architectures.allSatisfy { architecture in
            ["ringway", "libringway-preload.so"].allSatisfy {
                FileManager.default.fileExists(atPath: url(architecture, $0).path)
            }
        }

    static func url(_ architecture: String, _ name: String) -> URL {
        SourceTree.root.appendingPathComponent(".build-guest/\(architecture)/\(name)")
    }

    static func facts(_ architecture: String, _ name: String) throws -> BinaryFacts {
        try #require(BinaryFacts(Array(Data(contentsOf: url(architecture, name)))))
    }
}

/// What a guest gets is small, needs nothing, and is hardened.
@Suite(.enabled(if: GuestBinary.areWanted, "`make guest` has not been run"))
struct BinaryTests {
    @Test("the agent is small, static and stripped", arguments: GuestBinary.architectures)
    func agent(_ architecture: String) throws {
        let facts = try GuestBinary.facts(architecture, "ringway")
        #expect(faults(facts, machine: GuestBinary.machines[architecture], limit: 256 * 1024) == [])
        #expect(facts.needed == [])
        #expect(facts.undefined == [])
    }

    @Test("the preload library is small and exports the replaced calls", arguments: GuestBinary.architectures)
    func library(_ architecture: String) throws {
        let facts = try GuestBinary.facts(architecture, "libringway-preload.so")
        #expect(faults(facts, machine: GuestBinary.machines[architecture], limit: 64 * 1024) == [])
        // Nothing, so that one file loads under glibc and musl.
        #expect(facts.needed == [])
        let names = ["connect", "bind", "listen", "accept", "accept4", "getsockname", "getpeername", "shutdown"]
        let calls = names + ["getsockopt", "setsockopt"]
        let streams = ["read", "readv", "recv", "recvfrom", "recvmsg", "send", "sendto", "sendmsg"]
        let fortified = ["__read_chk", "__recv_chk", "__recvfrom_chk"]
        // What goes into the ring in direct mode, and what ends it.
        let direct = """
            close write writev dup dup2 dup3 fcntl fcntl64 ioctl poll ppoll __poll_chk __ppoll_chk select pselect
            epoll_ctl sendfile sendfile64 splice sendmmsg recvmmsg preadv2 pwritev2 fdopen dprintf
            vdprintf __dprintf_chk __vdprintf_chk aio_read aio_read64 aio_write aio_write64 lio_listio
            lio_listio64 _Fork vfork clone posix_spawn posix_spawnp system popen close_range closefrom
            """.split(whereSeparator: \.isWhitespace).map(String.init)
        #expect(facts.defined == Set(calls + streams + fortified + direct))
        // glibc warns of programs at a fixed address that take the address of one.
        #expect(facts.protected == [])
        // Both libcs have these, without a version that matters. A replaced call must not be among them.
        let known: Set = ["__errno_location", "dlsym", "getenv", "memcpy", "memmove", "memset", "memcmp"]
        #expect(facts.undefined.subtracting(known) == [])
    }
}

private func faults(_ facts: BinaryFacts, machine: UInt16?, limit: Int) -> [String] {
    var faults: [String] = []
    if facts.machine != machine { faults.append("machine \(facts.machine)") }
    if facts.size > limit { faults.append("\(facts.size) bytes, the limit is \(limit)") }
    if facts.hasSymbols { faults.append("not stripped") }
    if facts.hasInterpreter { faults.append("asks for a dynamic loader") }
    if facts.hasExecutableStack { faults.append("its stack can be executed") }
    if facts.hasWritableCode { faults.append("code can be written") }
    if facts.mentionsSwiftRuntime { faults.append("mentions Swift's runtime") }
    return faults
}

struct BinaryRuleTests {
    @Test("this test program itself breaks every one of these rules that it can")
    func violatingSample() throws {
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let facts = try #require(BinaryFacts(Array(Data(contentsOf: own))))
        let found = faults(facts, machine: 0, limit: 1024)
        #expect(found.count >= 4, "\(found)")
        #expect(facts.hasInterpreter && facts.hasSymbols && facts.mentionsSwiftRuntime)
        #expect(!facts.needed.isEmpty && !facts.undefined.isEmpty)
        #expect(BinaryFacts(Array("#!/bin/sh".utf8)) == nil)
    }
}

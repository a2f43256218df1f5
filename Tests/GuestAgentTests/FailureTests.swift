// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import RingBuffer
import TestSupport
import Testing

@testable import GuestAgent

/// What becomes of two agents when one of them, or its memory, is not what it should be.
@Suite(.serialized) struct FailureTests {
    /// Which process of an agent is killed.
    enum Victim: String, CaseIterable, Sendable { case parent, dataPath }

    struct Kill: Sendable, CustomTestStringConvertible {
        let setting: Setting
        let side: Guests.Side
        let victim: Victim

        var testDescription: String { "\(setting.testDescription): the \(victim.rawValue) of \(side.name)" }

        static let all = Setting.all.flatMap { setting in
            Guests.Side.allCases.flatMap { side in
                Victim.allCases.map { Kill(setting: setting, side: side, victim: $0) }
            }
        }
    }

    /// Writes until the connection breaks. - Returns: whether it did.
    private static func pour(_ stream: Stream) -> Bool {
        let part = randomBytes(8192, seed: 3)
        do {
            while true { try stream.write(part) }
        } catch { return error is Disconnected }
    }

    /// Both agents' programs lose their connections, and get new ones when the agent is started again.
    @Test(arguments: Kill.all)
    func anAgentIsKilledUnderTraffic(_ kill: Kill) throws {
        let guests = try Guests(kill.setting)
        try guests.startBoth()
        let other = kill.side.other
        let one = try guests.pair(from: .a, port: 50)
        let two = try guests.pair(from: .b, port: 51)
        let killed = try guests.agent(kill.side)
        let dataPath = try #require(killed.children.first)
        let target = kill.victim == .parent ? killed.pid : dataPath
        let marks = [try guests.agent(.a).text.count, try guests.agent(.b).text.count]
        try sideBySide(
            { #expect(Self.pour(one.client)) },
            { #expect(Self.pour(two.service)) },
            {
                // Traffic has passed both ways before the end.
                _ = try one.service.read(300_000)
                _ = try two.client.read(300_000)
                Glibc.kill(target, SIGKILL)
                #expect(one.service.isClosed(seconds: Guests.patience))
                #expect(two.client.isClosed(seconds: Guests.patience))
            })
        #expect(killed.finish() == (kill.victim == .parent ? 128 + SIGKILL : ExitCode.ioError.rawValue))
        if kill.victim == .dataPath { #expect(killed.text.contains("ended by signal 9; start the agent again")) }
        #expect(try guests.connect(other, port: 50).result == EHOSTUNREACH)
        #expect(try guests.status(other)["link"] as? String == "waiting")
        try guests.start(kill.side)
        try guests.waitForLink(kill.side)
        try guests.waitForLink(other, after: marks[other.rawValue])
        for side in Guests.Side.allCases {
            let (client, service) = try guests.pair(from: side, port: 52)
            let sent = randomBytes(200_000, seed: 9)
            try sideBySide(
                {
                    try client.write(sent)
                    client.finishWriting()
                },
                {
                    let got = try service.readToEnd()
                    expectSame(got, sent, "nothing of the connections before")
                })
        }
        #expect((try guests.status(other)["counters"] as? [String: Int])?["times-up"] == 2)
    }

    @Test(arguments: Setting.all)
    func anAgentIsStoppedInOrder(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let (client, service) = try guests.pair(from: .a, port: 50)
        let b = try guests.agent(.b)
        b.kill(SIGTERM)
        #expect(b.finish() == 0)
        #expect(client.isClosed(seconds: Guests.patience))
        #expect(service.isClosed(seconds: Guests.patience))
        let status = try guests.status(.a)
        #expect(status["link"] as? String == "waiting")
        #expect((status["waiting"] as? String)?.contains("side b's agent has stopped; start it") == true)
        let mark = try guests.agent(.a).text.count
        try guests.start(.b)
        try guests.waitForLink(.b)
        try guests.waitForLink(.a, after: mark)
        #expect(try guests.pair(from: .b, port: 50).client.isClosed(seconds: 0) == false)
    }

    @Test(arguments: Setting.all)
    func aSecondAgentOfTheSameSide(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let (client, service) = try guests.pair(from: .a, port: 50)
        try FileManager.default.createDirectory(atPath: guests.folder.path + "/c", withIntermediateDirectories: true)
        let sameSection = try guests.extraAgent(.a, ["--runtime-dir=\(guests.folder.path)/c"])
        #expect(sameSection.finish() == ExitCode.unavailable.rawValue)
        #expect(sameSection.text.contains("side a's own section is in use"), "\(sameSection.text)")
        let sameDirectory = try guests.extraAgent(.a, [])
        #expect(sameDirectory.finish() == ExitCode.unavailable.rawValue)
        #expect(sameDirectory.text.contains("another agent is running"), "\(sameDirectory.text)")
        for side in Guests.Side.allCases {
            let status = try guests.status(side)
            #expect(status["link"] as? String == "up")
            let counters = try #require(status["counters"] as? [String: Int])
            #expect(counters["times-up"] == 1)
            #expect(counters["connections-reset"] == 0)
        }
        try client.write([1, 2, 3])
        #expect(try service.read(3) == [1, 2, 3])
        #expect(try guests.pair(from: .b, port: 50).client.isClosed(seconds: 0) == false)
    }

    /// Two agents that agree on nothing but the memory wait for each other and say why.
    @Test(arguments: Setting.all)
    func otherGeometry(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startAndWait(.a)
        try guests.startAndWait(.b, ["--channels=2", "--ring-size=4K"])
        let sentences = [
            "side b is configured with channels=2 ring-size=4096 opens-a=1, this side with channels=4 "
                + "ring-size=65536 opens-a=2; make them equal",
            "side a is configured with channels=4 ring-size=65536 opens-a=2, this side with channels=2 "
                + "ring-size=4096 opens-a=1; make them equal",
        ]
        for side in Guests.Side.allCases {
            let status = try guests.status(side) { $0["waiting"] as? String == sentences[side.rawValue] }
            #expect(status["waiting"] as? String == sentences[side.rawValue])
            #expect(status["link"] as? String == "waiting")
            #expect(try guests.statusText(side).contains("waiting: \(sentences[side.rawValue])\n"))
            #expect(try guests.connect(side, port: 1).result == EHOSTUNREACH)
        }
        try guests.agent(.b).kill(SIGTERM)
        #expect(try guests.agent(.b).finish() == 0)
        try guests.start(.b)
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
    }

    /// Both agents as side a, with their sections swapped so that each has its own.
    @Test(arguments: Setting.all)
    func twoOfTheSameSide(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startAndWait(.a)
        try FileManager.default.createDirectory(atPath: guests.folder.path + "/c", withIntermediateDirectories: true)
        var words = guests.arguments(.a, ["--runtime-dir=\(guests.folder.path)/c", "--doorbell=none"])
        let places = [4, 6].map { words[$0] }
        (words[4], words[6]) = (places[1], places[0])
        let second = try Program(setting.build.path, words)
        try #require(second.prints("channels of"), "\(second.text)")
        let status = try guests.status(.a) { ($0["waiting"] as? String)?.contains("side a's") == true }
        let waiting = try #require(status["waiting"] as? String)
        #expect(waiting.contains("the section of side b says that it is side a's; check `side`"), "\(waiting)")
    }

    /// What a peer's section may hold when no agent of this version has written it.
    enum Contents: String, CaseIterable, Sendable {
        case garbage, otherVersion, badLinkWord, nothing

        /// Writes it where the peer's section is, and says which words explain it.
        func write(_ section: UnsafeMutableRawPointer) -> String {
            func word(_ offset: Int, _ value: UInt32) { SharedWord32(section + offset).storeRelease(value) }
            switch self {
            case .nothing: return "side b's section is empty: its agent has not started; start it"
            case .garbage:
                let bytes = randomBytes(Guests.sectionSize, seed: 11)
                bytes.withUnsafeBytes { section.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
                let magic = bytes[0..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                return "no Ringway header (first 8 bytes: 0x\(String(magic, radix: 16)))"
            case .otherVersion:
                word(SectionLayout.headerVersion, SectionLayout.version + 1)
                SharedWord64(section + SectionLayout.headerMagic).storeRelease(SectionLayout.magic)
                return "layout version \(SectionLayout.version + 1), this side \(SectionLayout.version)"
            case .badLinkWord:
                word(SectionLayout.headerVersion, SectionLayout.version)
                word(SectionLayout.headerSide, 1)
                word(SectionLayout.headerChannels, UInt32(Guests.geometry.channels))
                word(SectionLayout.headerRingCapacity, UInt32(Guests.geometry.ringCapacity))
                word(SectionLayout.headerOpensA, UInt32(Guests.geometry.opensA))
                SharedWord64(section + SectionLayout.headerLinkWord).storeRelease(UInt64.max)
                SharedWord64(section + SectionLayout.headerMagic).storeRelease(SectionLayout.magic)
                return "link word 0xffffffffffffffff is not valid"
            }
        }
    }

    /// It is a waiting state that `status` explains, and it ends when the peer's agent starts.
    @Test(arguments: Setting.all, Contents.allCases)
    func whatThePeersSectionHolds(_ setting: Setting, _ contents: Contents) throws {
        let guests = try Guests(setting)
        let memory = try Mapping(path: guests.file, size: 2 * Guests.sectionSize)
        let words = contents.write(memory.base + Guests.sectionSize)
        try guests.startAndWait(.a)
        let status = try guests.status(.a) { ($0["waiting"] as? String)?.contains(words) == true }
        #expect((status["waiting"] as? String)?.contains(words) == true, "\(status["waiting"] ?? "nothing")")
        #expect(status["link"] as? String == "waiting")
        #expect(try guests.connect(.a, port: 1).result == EHOSTUNREACH)
        try guests.start(.b)
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let (client, service) = try guests.pair(from: .b, port: 3)
        try client.write([9])
        #expect(try service.read(1) == [9])
    }

    /// A peer that writes anything at all into its section while the link is up: this side's agent lives on, and
    /// the link comes back when the peer has started again.
    @Test(arguments: Setting.all)
    func aPeerThatScribbles(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let memory = try Mapping(path: guests.file, size: 2 * Guests.sectionSize)
        let section = memory.base + Guests.sectionSize
        // Header and channel pages, where every word means something; rings hold any bytes as it is.
        let words = SectionLayout.ringData(0, Guests.geometry)
        for round in 0..<(TestRun.isLong ? 200 : 10) {
            let open = try guests.connect(.a, port: 60)
            let bytes = randomBytes(words, seed: TestRun.seed &+ UInt64(round))
            bytes.withUnsafeBytes { section.copyMemory(from: $0.baseAddress!, byteCount: words) }
            let status = try guests.status(.a)
            #expect(status["side"] as? String == "a", "round \(round), seed \(TestRun.seed)")
            withExtendedLifetime(open) {}
        }
        let b = try guests.agent(.b)
        b.kill(SIGKILL)
        #expect(b.finish() == 128 + SIGKILL)
        try guests.start(.b)
        // That side a has this one's epoch: what was up with the one before is over by then. What a has said by now may
        // be of the time before the kill.
        try guests.waitForLink(.b)
        #expect(try guests.status(.a) { $0["link"] as? String == "up" }["link"] as? String == "up")
        let (client, service) = try guests.pair(from: .a, port: 3)
        try client.write([9])
        #expect(try service.read(1) == [9])
    }

    /// A file that is cut short under both agents ends them with a message, not with a signal.
    @Test(arguments: Setting.all)
    func theFileIsTruncated(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        #expect(truncate(guests.file, 0) == 0)
        for side in Guests.Side.allCases {
            let agent = try guests.agent(side)
            #expect(agent.finish() == ExitCode.ioError.rawValue)
            #expect(agent.text.contains("was truncated while it was mapped; restore it"), "\(agent.text)")
        }
    }

    /// The process that reads what the peer writes has given up every privilege; its parent has kept them.
    @Test(.enabled(if: geteuid() == 0, "only root has privileges to give up"), arguments: Setting.all)
    func theDataPathHasNoPrivileges(_ setting: Setting) throws {
        let guests = try Guests(setting)
        // Whoever starts it has a folder and a file open, and neither standard input nor output.
        let starter = ["/bin/sh", "-c", "exec 7</ 8</etc/passwd <&- >&-; exec \"$@\"", "sh"]
        try guests.start(.a, through: starter)
        try guests.start(.b)
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let agent = try guests.agent(.a)
        func capabilities(_ pid: pid_t) throws -> [String] {
            try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8).split(separator: "\n")
                .filter { $0.hasPrefix("Cap") || $0.hasPrefix("NoNewPrivs") || $0.hasPrefix("Seccomp:") }
                .map { $0.split(separator: "\t").last.map(String.init) ?? "" }
        }
        let dataPath = try capabilities(try #require(agent.children.first))
        #expect(dataPath.prefix(5) == ["0", "0", "0", "0", "0"].map { String(repeating: $0, count: 16) }[...])
        // NoNewPrivs, and a filter of system calls (mode 2).
        #expect(dataPath.suffix(2) == ["1", "2"])
        #expect(try capabilities(agent.pid).last == "0")
        #expect(try guests.status(.a)["filtered"] as? Bool == true)
        // Its root is the runtime directory, its network nobody's, and no descriptor leads out of there.
        let child = "/proc/\(try #require(agent.children.first))"
        func place(_ path: String) throws -> String { try FileManager.default.destinationOfSymbolicLink(atPath: path) }
        #expect(try place("\(child)/root") == guests.runtime(.a))
        #expect(try place("\(child)/cwd") == guests.runtime(.a))
        #expect(try place("\(child)/ns/net") != place("/proc/\(agent.pid)/ns/net"))
        #expect(try guests.status(.a)["enclosed"] as? Bool == true)
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "\(child)/fd")
        for descriptor in descriptors where descriptor != "2" {
            let target = try place("\(child)/fd/\(descriptor)")
            let isOwn = ["anon_inode:", "socket:", "/memfd:", "/dev/null"].contains { target.hasPrefix($0) }
            #expect(isOwn, "descriptor \(descriptor): \(target)")
        }
        // The listener, and the pair with its parent.
        let sockets = try descriptors.filter {
            try $0 != "2" && place("\(child)/fd/\($0)").hasPrefix("socket:")
        }
        #expect(sockets.count == 2, "\(sockets)")
        #expect(try place("/proc/\(agent.pid)/fd/7") == "/", "the test's own descriptor was not there")
        #expect(try capabilities(agent.pid)[2] != String(repeating: "0", count: 16))
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import RingBench

/// Queues of somebody else's: what peers/loops.hpp makes, and what is said of those that are not there.
@Suite(.serialized, .enabled(if: hasTwoProcessors, "two processors are needed"))
struct ForeignQueueTests {
    private let folder: ScratchFolder
    private let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    init() throws { folder = try ScratchFolder() }

    /// Compiles Peer/sample.cpp as mk/bench-peers.sh does a peer.
    private func build(_ name: String, _ more: [String] = []) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            ["clang++", "-std=c++17", "-O2", "-fPIC", "-shared", "-I", root + "/peers"]
            + ["-I", root + "/Sources/CBench/include", root + "/Tests/RingBenchTests/Peer/sample.cpp"]
            + ["-o", "\(folder.path)/\(name).so"] + more
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }

    private func put(_ name: String, _ text: String = "") throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder.path)/\(name)"))
    }

    @Test func itsMessagesArriveAndALostOneIsNoticed() throws {
        try build("sample")
        let (queues, missing) = ForeignQueue.all(in: folder.path)
        #expect(queues.map(\.name) == ["right", "losing", "unprepared"] && missing.isEmpty)
        #expect(queues.map(\.batch) == [1, 1, 1] && queues.map(\.sleeps) == [false, true, false])
        let pair = try ProcessPair()
        for message in [64, 512, 4096] {
            _ = try MessageCells.carry(queues[0], message, warm: 100, 3000, pair)
        }
        let cell = RoundTripCells.polling(message: 64, count: 200, [queues[0]])
        #expect(try #require(cell.contenders.last).measure(pair).value > 0)
        #expect(try queues[0].open(message: 65) == nil)
        let lost = String(
            describing: try #require(throws: BenchError.self) {
                try MessageCells.carry(queues[1], 64, warm: 100, 3000, pair)
            })
        #expect(lost.contains("could not measure losing") && lost.contains("not those that were sent"), "\(lost)")
        let unprepared = String(
            describing: try #require(throws: BenchError.self) { try queues[2].open(message: 64) })
        #expect(unprepared.hasPrefix("could not prepare unprepared for 64 bytes: No space left on device"))
        // In a run it is missing, and the others take part.
        let suite = BenchSuite(work: 1, peers: folder.path, agent: "", processors: pair.processors)
        let names = try suite.cells { $0 == "messages-64" }[0].contenders.map(\.name)
        #expect(names.contains("right") && !names.contains("unprepared"))
        #expect(suite.missing == [unprepared])
    }

    @Test func librariesThatAreNone() throws {
        try put("broken.so", "no library")
        try put("absent.log", "fatal error: absent.h: No such file or directory")
        try build("older", ["-DOTHER_VERSION=1"])
        try build("stranger", ["-Dringway_contender=something_else"])
        let (queues, missing) = ForeignQueue.all(in: folder.path)
        #expect(queues.isEmpty && missing.count == 4, "\(missing)")
        #expect(missing[0].hasPrefix("could not load \(folder.path)/broken.so: "))
        #expect(
            missing[1]
                == "could not load \(folder.path)/older.so: it is made for version 1 of the table; build it again")
        #expect(
            missing[2] == "could not load \(folder.path)/stranger.so: it has no ringway_contender; see peers/README.md")
        #expect(missing[3] == "absent: its headers or libraries are not on this machine (\(folder.path)/absent.log)")
    }

    @Test func noFolder() {
        let (queues, missing) = ForeignQueue.all(in: "/no/such")
        #expect(queues.isEmpty)
        #expect(missing == ["every queue of peers/: /no/such has none (mk/bench-peers.sh builds them)"])
    }
}

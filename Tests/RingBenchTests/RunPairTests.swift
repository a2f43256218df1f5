// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import RingBench

/// Two programs under `ringway run`: the guest's agent and library, and this machine's C library.
@Suite(.serialized, .enabled(if: hasTwoProcessors, "two processors are needed"))
struct RunPairTests {
    private static let agent = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../.build-guest/\(architecture)/ringway").standardized.path
    #if arch(arm64)
    private static let architecture = "aarch64"
    #else
    private static let architecture = "x86_64"
    #endif
    private static let isBuilt = FileManager.default.isExecutableFile(atPath: agent)

    private func pair(_ agent: String) throws -> RunPair {
        try RunPair(
            agent: agent, program: BenchProgram.program.path, processors: try ProcessPair().processors, limit: 30)
    }

    @Test(.enabled(if: isBuilt, "`make guest` builds the agent and the library"))
    func streamsAndRoundTrips() throws {
        let pair = try pair(Self.agent)
        for message in [64, StreamCells.write] {
            // Whatever one turn leaves behind would be the next one's first message.
            for _ in 0..<2 {
                let stream = try pair.run(RunJob(.stream, message: message, warm: 8, count: 50))
                let trips = try pair.run(RunJob(.roundTrip, message: message, count: 50))
                for outcome in [stream, trips] {
                    #expect(outcome.nanoseconds > 0 && outcome.bounceBefore > 0 && outcome.bounceAfter > 0)
                }
            }
        }
        let cells = [
            StreamCells.pump(megabytes: 1, [], pair), RoundTripCells.pump(message: 64, count: 50, [], pair),
        ]
        let turns = try ProcessPair()
        let contenders = cells.flatMap(\.contenders).filter { $0.name == "ringway run, both programs" }
        #expect(contenders.count == cells.count)
        for contender in contenders { #expect(try contender.measure(turns).value > 0) }
    }

    /// No connection of TCP is taken for one through the agents.
    @Test(.enabled(if: isBuilt, "`make guest` builds the agent and the library"))
    func withoutTheLibraryThereIsNoFigure() throws {
        let folder = try ScratchFolder()
        let script = """
            #!/bin/sh
            if [ "$1" = run ]; then
                while [ "$1" != -- ]; do shift; done
                shift
                exec "$@"
            fi
            exec \(Self.agent) "$@"
            """
        for (name, text) in [("ringway", script), ("libringway-preload.so", "")] {
            #expect(
                FileManager.default.createFile(
                    atPath: "\(folder.path)/\(name)", contents: Data(text.utf8), attributes: [.posixPermissions: 0o755])
            )
        }
        let text = String(
            describing: try #require(throws: BenchError.self) { try pair(folder.path + "/ringway") })
        #expect(text.contains("could not get a connection through the agents: it is one of TCP"), "\(text)")
    }

    @Test func anAgentWithoutALibraryIsMissing() throws {
        let text = String(describing: try #require(throws: BenchError.self) { try pair("/no/such/ringway") })
        #expect(text.hasPrefix("could not measure ringway run, both programs: there is no /no/such/libringway"))
        #expect(text.contains("--agent"))
    }

    @Test func jobsAreReadAsTheyWereWritten() {
        for job in [
            RunJob(.stream, message: 65_536, warm: 3, count: 1 << 33), RunJob(.roundTrip, message: 64, count: 1),
        ] {
            #expect(job.bytes.count == RunJob.size && RunJob(job.bytes) == job)
        }
        #expect(RunJob([UInt8](repeating: 9, count: RunJob.size)) == nil)
    }
}

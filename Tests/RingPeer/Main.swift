// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim

/// The other process of the ring's tests.
@main struct RingPeer {
    static func main() {
        let arguments = CommandLine.arguments
        // Whoever started this may be gone, or wait for a ring that never moves.
        ct_limit_life(getenv("RINGWAY_TEST_LONG") == nil ? 120 : 3600)
        do {
            let options = try Options(arguments.dropFirst(2))
            switch arguments.dropFirst().first {
            case "produce":
                let stream = try Stream(options, produces: true)
                try stream.failingTogether(stream.produce)
            case "consume":
                let stream = try Stream(options, produces: false)
                try stream.failingTogether(stream.consume)
            case "kill": exit(try KillTest.run(options))
            case "fork": exit(try ForkTest.run())
            case "race": exit(try RaceTest.run(options))
            case "record": exit(try RecordTest.run(options))
            case "race-record": exit(try RecordTest.race(options))
            default: throw Options.Mistake.unknown("mode")
            }
        } catch {
            print("RingPeer \(arguments.dropFirst().joined(separator: " ")): \(error)")
            exit(1)
        }
    }
}

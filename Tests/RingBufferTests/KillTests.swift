// SPDX-License-Identifier: Apache-2.0
import CTestShim
import TestSupport
import Testing

/// A process that shares an end dies in the middle of a hold, after each instruction in turn; the survivor
/// recovers the end, and no byte is wrong, lost after its publication, or doubled.
///
/// The helper does it (see `KillTest` there): one thread, so it can fork, and optimised code.
@Suite(.enabled(if: ct_can_step(), "stepping is for x86_64")) struct KillTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var copy = "block"
        var way = "copied"
        var capacity = 256
        var start = -106
        var prefill = 40
        var sizes = "100"

        var testDescription: String { "\(copy), \(way), \(sizes) bytes, \(prefill) of \(capacity) used" }
    }

    /// The bytes wrap (offset 150 + 40 + 100 > 256), and so does the index (2^32 - 106 + 40 + 100).
    static let both = [
        Case(), Case(way: "inPlace", sizes: "24"), Case(copy: "words", sizes: "29"),
        // Two in one hold: there is a legal index in between.
        Case(prefill: 60, sizes: "7,90"),
        // The prefix of what does not fit or is not there.
        Case(capacity: 64, start: -7, prefill: 30, sizes: "100"),
    ]
    static let long =
        [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 200].flatMap { size in
            [-1, -7, -8, -40, 0, 128].map { Case(start: $0, prefill: 20, sizes: "\(size)") }
        } + [Case(capacity: 4096, start: -2000, prefill: 600, sizes: "3000")]

    static var cases: [Case] { TestRun.isLong ? both + long : both }

    @Test(arguments: ["producer", "consumer"], cases) func afterEachInstruction(_ end: String, _ how: Case) throws {
        let seed = TestRun.seed
        let helper = try HelperProcess(
            "RingPeer",
            [
                "kill", "end=\(end)", "copy=\(how.copy)", "way=\(how.way)", "capacity=\(how.capacity)",
                "start=\(how.start)", "prefill=\(how.prefill)", "sizes=\(how.sizes)", "seed=\(seed)",
            ])
        let (status, output) = helper.finish()
        print("\(end), \(how.testDescription), seed \(seed): \(output)", terminator: "")
        #expect(status == 0, "\(output)")
        #expect(output.contains(", 0 failed"), "\(output)")
    }
}

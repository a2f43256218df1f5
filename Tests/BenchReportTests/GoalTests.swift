// SPDX-License-Identifier: Apache-2.0
import BenchReport
import Testing

struct GoalTests {
    private let rate = Goal("rate", .atLeast, 1.5, aim: 2)
    private let delay = Goal("delay", .atMost, 0.7, aim: 0.5)

    @Test func theMedianDecidesAndTheBoundItselfIsMet() {
        #expect(GoalResult(rate, ratios: [1, 1.5, 9]).verdict == .met)
        #expect(GoalResult(rate, ratios: [1, 1.49, 9]).verdict == .missed)
        #expect(GoalResult(delay, ratios: [0.1, 0.7, 0.9]).verdict == .met)
        #expect(GoalResult(delay, ratios: [0.1, 0.71, 0.9]).verdict == .missed)
        #expect(GoalResult(delay, ratios: [], note: "no such peer").verdict == .notMeasured)
    }

    @Test func theAimIsNoPartOfTheVerdict() {
        #expect(!GoalResult(rate, ratios: [1.9]).reachesAim && GoalResult(rate, ratios: [2]).reachesAim)
        #expect(!GoalResult(delay, ratios: [0.6]).reachesAim && GoalResult(delay, ratios: [0.5]).reachesAim)
    }

    @Test func aTableSaysWhatWasLeftOut() {
        let table = GoalTable([
            GoalResult(rate, ratios: [2, 2, 2]), GoalResult(delay, ratios: [0.8]),
            GoalResult(delay, ratios: [], note: "no peer"),
        ])
        #expect(table.closing == "goals: 1 met, 1 missed, 1 not measured")
        #expect(!table.isWhole && GoalTable([GoalResult(rate, ratios: [1.5])]).isWhole)
        #expect(GoalTable([GoalResult(rate, ratios: [1.5])]).closing == "goals: 1 met, 0 missed")
        #expect(table.text.contains("| rate | ≥ 1.50 | 2.00 | 2.00 (2.00 to 2.00) | met, as aimed at |"))
        #expect(table.text.contains("| delay | ≤ 0.70 | 0.50 | – | not measured; no peer |"))
    }

    @Test func smallBoundsAreNotRoundedAway() {
        let small = Goal("small", .atMost, 1 / 20, aim: 1 / 40)
        #expect(
            GoalTable([GoalResult(small, ratios: [0.0254])]).text
                .contains("| small | ≤ 0.050 | 0.025 | 0.025 (0.025 to 0.025) | met |"))
    }
}

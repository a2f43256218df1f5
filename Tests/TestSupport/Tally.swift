// SPDX-License-Identifier: Apache-2.0

/// Counts what was checked and keeps the first few failures: for loops of many thousand checks, where one
/// expectation each would take longer than what it looks at.
public struct Tally: Sendable {
    public private(set) var checks = 0
    public private(set) var failed = 0
    /// The first failures, in words.
    public private(set) var failures: [String] = []

    public init() {}

    public mutating func check(_ condition: Bool, _ what: @autoclosure () -> String) {
        checks += 1
        if condition { return }
        failed += 1
        if failures.count < 10 { failures.append(what()) }
    }

    public mutating func equal<T: Equatable>(_ is: T, _ expected: T, _ what: @autoclosure () -> String) {
        check(`is` == expected, "\(what()): \(`is`), expected \(expected)")
    }

    public mutating func add(_ other: Tally) {
        checks += other.checks
        failed += other.failed
        failures += other.failures.prefix(max(0, 10 - failures.count))
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How far the two processors are from each other, by the time in which a cache line goes to the other and back. A
/// virtual machine's processors are moved by its host: so this is asked before and after each measurement, and only
/// what was measured in one regime is compared.
enum CacheRegime: String, Codable, CaseIterable {
    /// They share a cache.
    case near
    /// They do not.
    case far
    /// It has changed meanwhile: the measurement is discarded.
    case mixed
    /// Something else had one of the processors for more than a twentieth of the time (``RunDelay``), or even a line's
    /// round trip took longer than any two processors need: it is discarded, too.
    case disturbed

    /// Nanoseconds that lie between the two: 80 to 130 where a cache is shared, 300 to 600 where it is not.
    static let border = 220.0
    /// What a probe may differ from the other by.
    static let tolerance = 1.6
    /// Nanoseconds above which it is no line that is waited for: two sockets of one machine take less than 1000.
    static let longest = 2000.0
    /// The part of the time that something else may have had.
    static let disturbance: UInt64 = 20

    /// Those in which a measurement counts.
    static let counting: [CacheRegime] = [.near, .far]

    init(_ outcome: ProcessPair.Outcome) {
        if outcome.delayed > outcome.nanoseconds / Self.disturbance {
            self = .disturbed
        } else {
            self.init(before: outcome.bounceBefore, after: outcome.bounceAfter)
        }
    }

    init(before: Double, after: Double) {
        let (low, high) = (min(before, after), max(before, after))
        if high > Self.longest {
            self = .disturbed
        } else if low <= 0 || high > low * Self.tolerance || (low < Self.border) != (high < Self.border) {
            self = .mixed
        } else {
            self = low < Self.border ? .near : .far
        }
    }
}

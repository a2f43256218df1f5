// SPDX-License-Identifier: Apache-2.0

/// Keeps a peer that rings the doorbell without end from taking this guest's processor. Of the wake-ups behind which
/// there was no byte to move, a period has room for so many; then the doorbell is not watched until the period is over,
/// and an interrupt that masks itself stays masked. No wake-up is lost: the channels are looked at when it is over.
struct DoorbellPacing {
    /// Microseconds.
    static let period: UInt64 = 10_000
    static let limit = 50

    private var began: UInt64 = 0
    private var wasted = 0
    /// When the doorbell is looked at again, in microseconds; 0 while it is.
    private(set) var pausedUntil: UInt64 = 0

    /// A wake-up was for nothing.
    /// - Returns: whether that was one too many: the doorbell is to be left alone.
    mutating func waste(_ now: UInt64) -> Bool {
        if now &- began >= Self.period {
            began = now
            wasted = 0
        }
        wasted += 1
        guard wasted >= Self.limit else { return false }
        pausedUntil = began &+ Self.period
        return true
    }

    mutating func resume() { pausedUntil = 0 }
}

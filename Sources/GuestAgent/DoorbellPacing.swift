// SPDX-License-Identifier: Apache-2.0

/// Keeps a peer that rings the doorbell without end from taking this guest's processor. Of the wake-ups behind which
/// there was no byte to move a period has room for so many, and for ten times as many behind which there were a few;
/// then the doorbell is not watched until the period is over, and an interrupt that masks itself stays masked. No
/// wake-up is lost: the channels are looked at when it is over.
struct DoorbellPacing {
    /// Microseconds.
    static let period: UInt64 = 10_000
    /// Wake-ups for nothing.
    static let limit = 50
    /// Wake-ups for fewer bytes than `worth`: more of them than an answer to each could be waited for.
    static let thinLimit = 500
    static let worth = 512

    private var began: UInt64 = 0
    private var spent = 0
    /// When the doorbell is looked at again, in microseconds; 0 while it is.
    private(set) var pausedUntil: UInt64 = 0

    /// A wake-up was for nothing, or for fewer bytes than `worth`.
    /// - Parameter now: asked for at a period's beginning and end only: in a guest the clock may be a system call.
    /// - Returns: whether that was one too many: the doorbell is to be left alone.
    mutating func spend(forNothing: Bool, _ now: @autoclosure () -> UInt64) -> Bool {
        if spent == 0 { began = now() }
        spent += forNothing ? Self.thinLimit / Self.limit : 1
        guard spent >= Self.thinLimit else { return false }
        spent = 0
        // So many took longer than a period: the next one begins with the next wake-up.
        guard now() &- began < Self.period else { return false }
        pausedUntil = began &+ Self.period
        return true
    }

    mutating func resume() { pausedUntil = 0 }
}

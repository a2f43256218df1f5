// SPDX-License-Identifier: Apache-2.0
import USBIP

/// When the guards let withdrawals go on whose requests stay unanswered (`Guard.isHolding`): at a moment that a peer
/// can neither know nor learn from the ones before.
struct WithdrawalClock {
    /// Microseconds, of which the moment is drawn: 524 ms, all bits set. A request that ends by itself has long done
    /// so, and the program behind `usb_kill_urb` waits for a quarter of a second on average.
    static let longest: UInt32 = 0x7FFFF
    /// In microseconds; 0 while nothing is held.
    private(set) var moment: UInt64 = 0

    /// - Returns: whether the moment has come.
    mutating func hasCome(isHolding: Bool, random: () -> UInt32) -> Bool {
        guard isHolding else {
            moment = 0
            return false
        }
        let now = Clock.microseconds()
        if moment == 0 { moment = now &+ UInt64(random() & Self.longest) }
        guard now >= moment else { return false }
        moment = 0
        return true
    }

    /// Microseconds until then; nil while nothing is held.
    func left(_ now: UInt64) -> UInt64? { moment == 0 ? nil : moment &- min(now, moment) }
}

extension DataPath {
    /// - Returns: whether withdrawals go on now.
    func tendWithdrawals() -> Bool {
        let isHolding = connections.contains { $0?.rules?.isHolding == true }
        guard withdrawals.hasCome(isHolding: isHolding, random: randomWord) else { return false }
        for connection in connections { connection?.rules?.releaseWithdrawals() }
        return true
    }
}

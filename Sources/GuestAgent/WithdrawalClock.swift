// SPDX-License-Identifier: Apache-2.0
import RingTransport
import USBIP

/// When the guards let withdrawals go on whose requests stay unanswered (`Guard.releaseWithdrawals`): at moments that a
/// peer can neither know nor learn from the ones before.
struct WithdrawalClock {
    /// Microseconds to the next moment at least: for so long an endpoint must have been silent.
    static let shortest: UInt64 = 100_000
    /// Of so many more one is drawn: 262 ms, all bits set. The program behind `usb_kill_urb` waits meanwhile.
    static let range: UInt32 = 0x3FFFF
    /// In microseconds; 0 while nothing is held.
    private(set) var moment: UInt64 = 0

    /// - Returns: whether the moment has come.
    mutating func hasCome(isHolding: Bool, random: () -> UInt32) -> Bool {
        guard isHolding else {
            moment = 0
            return false
        }
        let now = Clock.microseconds()
        let isNow = moment != 0 && now >= moment
        if moment == 0 || isNow { moment = now &+ Self.shortest &+ UInt64(random() & Self.range) }
        return isNow
    }

    /// Microseconds until then; nil while nothing is held.
    func left(_ now: UInt64) -> UInt64? { moment == 0 ? nil : moment &- min(now, moment) }
}

extension DataPath {
    /// At the moment withdrawals go on, or wait for the next one.
    func tendWithdrawals() {
        guard withdrawals.hasCome(isHolding: holdsWithdrawals, random: randomWord) else { return }
        for number in resting.busy {
            guard let connection = connections[number], let rules = connection.rules, rules.isHolding else { continue }
            // What the kernel has to say by now.
            connection.readable = true
            _ = pump(number)
            rules.releaseWithdrawals(isClear: connection.isClear, now: Clock.microseconds())
            _ = pump(number)
            rules.recallWithdrawals()
        }
    }
}

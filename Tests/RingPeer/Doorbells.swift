// SPDX-License-Identifier: Apache-2.0
import CShim
import TestSupport

/// Two inherited eventfds: the first is rung for this process, the second by it.
final class Doorbells {
    private let own = HelperProcess.firstDescriptor
    private let peer = HelperProcess.firstDescriptor + 1
    private(set) var sleeps = 0
    /// Sleeps that nobody ended in time: lost wake-ups.
    private(set) var expired = 0

    func ring() {
        var one: UInt64 = 1
        _ = write(peer, &one, 8)
    }

    func sleep() {
        sleeps += 1
        var wanted = pollfd(fd: own, events: Int16(POLLIN), revents: 0)
        // Longer than any delay of a loaded machine, so that one expiry means a lost wake-up.
        if poll(&wanted, 1, 10_000) == 0 { expired += 1 }
        var count: UInt64 = 0
        _ = read(own, &count, 8)
    }
}

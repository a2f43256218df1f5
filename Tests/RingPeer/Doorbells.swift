// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import TestSupport

/// What one side wakes the other by, and how it sleeps: with a bound, and counting when nobody woke it.
final class Doorbells {
    enum Kind: String { case doorbell, spin }

    private let kind: Kind
    // Inherited eventfds: the first is rung for this process, the second by it.
    private let own = HelperProcess.firstDescriptor
    private let peer = HelperProcess.firstDescriptor + 1
    // Counters in a shared page: a sleep that takes no time, so that many more fit into a test, and so close
    // together that a missing fence shows.
    private let page: Mapping
    private let ownCount: SharedWord32
    private let peerCount: SharedWord32
    private var heard: UInt32 = 0
    private(set) var sleeps = 0
    /// Sleeps that nobody ended in time: lost wake-ups.
    private(set) var expired = 0

    init(_ kind: Kind, folder: String, produces: Bool) throws {
        self.kind = kind
        page = try Mapping(path: "\(folder)/bells", size: 4096, create: true)
        ownCount = SharedWord32(page.base + (produces ? 0 : 1024))
        peerCount = SharedWord32(page.base + (produces ? 1024 : 0))
    }

    func ring() {
        if kind == .spin { return peerCount.storeRelease(peerCount.loadRelaxed() &+ 1) }
        var one: UInt64 = 1
        _ = write(peer, &one, 8)
    }

    /// Longer than any delay of a loaded machine, so that one expiry means a lost wake-up.
    private static let bound = 10

    func sleep() {
        sleeps += 1
        if kind == .spin { return spin() }
        var wanted = pollfd(fd: own, events: Int16(POLLIN), revents: 0)
        if poll(&wanted, 1, Int32(Self.bound * 1000)) == 0 { expired += 1 }
        var count: UInt64 = 0
        _ = read(own, &count, 8)
    }

    private func spin() {
        var turns = 0
        let start = time(nil)
        while ownCount.loadAcquire() == heard {
            turns += 1
            guard turns & 0x3FF == 0 else { continue }
            sched_yield()
            if time(nil) > start + Self.bound {
                expired += 1
                return
            }
        }
        heard = ownCount.loadAcquire()
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import RingBuffer
import RingTransport
import TestSupport

/// Side a as it should be: a link, its channels, and one honest connection on channel 0.
final class Peer {
    let victim: any Victim
    let link: Link
    let channels: [Channel]
    private let controls: EndControls
    private let identity: ProcessIdentity
    private var isSilent = false
    private(set) var honestBytes: UInt64 = 0
    private var pattern: UInt64 = 1

    init(_ victim: any Victim, seed: UInt64) throws {
        self.victim = victim
        controls = try EndControls.create(channels: Attack.geometry.channels)
        identity = try ProcessIdentity.attach()
        let (controls, identity) = (controls, identity)
        let channels = (0..<Attack.geometry.channels).map {
            Channel(
                number: $0, side: .a, geometry: Attack.geometry, own: victim.own, peer: victim.agents, copy: .block,
                controls: controls.block($0), attachment: identity.attachment)
        }
        self.channels = channels
        var random = SeededGenerator(seed)
        link = Link(
            side: .a, geometry: Attack.geometry, own: victim.own, peer: victim.agents, doorbell: victim.doorbell,
            polls: false,
            misses: 1_000_000, random: { UInt32(truncatingIfNeeded: random.next()) },
            resetSection: { for channel in channels { channel.resetForEpoch() } })
    }

    /// Follows the link. - Returns: whether it is up.
    @discardableResult
    func turn() -> Bool {
        if !isSilent, case .lost = link.tick() { forget() }
        if link.wantsDoorbell {
            link.wantsDoorbell = false
            victim.ring()
        }
        return link.isUp
    }

    /// Says nothing any more until the agent gives this side up, which it shows by a new epoch.
    func fallSilent() throws {
        let before = link.acknowledged
        isSilent = true
        defer { isSilent = false }
        let patience = Patience()
        while LinkWord(untrusted: agentsWord)?.epoch == before {
            try patience.check("it does not give up a silent peer")
            try victim.checkAlive()
            sched_yield()
        }
    }

    var agentsWord: UInt64 { SharedWord64(victim.agents + SectionLayout.headerLinkWord).loadAcquire() }

    private func forget() { for channel in channels where channel.state != .closed { channel.reset() } }

    /// Sets link and honest connection up, if they are not.
    func comeUp() throws {
        let patience = Patience()
        while true {
            try patience.check("the link does not come up: \(link.reason), \(channels[0].state)")
            try victim.checkAlive()
            guard turn() else {
                try victim.waitForBell()
                continue
            }
            let channel = channels[0]
            if channel.isEstablished { return }
            _ = channel.look()
            if channel.isEstablished { return }
            if channel.fault != nil { throw Failed(message: "the agent broke channel 0: \(channel.fault!)") }
            if channel.isFree() { channel.open(port: Services.echo) }
            ringForRecords()
            try victim.waitForBell()
        }
    }

    func ringForRecords() {
        for channel in channels where channel.wantsDoorbell {
            channel.wantsDoorbell = false
            victim.ring()
        }
    }

    /// Sends bytes to the echo and waits until they are back, which they are only behind a whole pass of the agent over
    /// all channels and the link: what is read into the socket in one pass comes out of it in a later one.
    /// - Returns: false when the connection was lost before.
    func echo(_ count: Int) throws -> Bool {
        var sent = [UInt8](repeating: 0, count: count)
        for i in 0..<count {
            pattern = pattern &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            sent[i] = UInt8(truncatingIfNeeded: pattern >> 56)
        }
        let channel = channels[0]
        var done = 0
        var back: [UInt8] = []
        let patience = Patience()
        var room = [UInt8](repeating: 0, count: count)
        while back.count < count {
            guard turn(), channel.isEstablished else { return false }
            switch channel.look() {
            case .peerReset, .closed, .refused, .peerFinished: return false
            default: break
            }
            if channel.fault != nil { throw Failed(message: "the agent broke channel 0: \(channel.fault!)") }
            guard channel.isEstablished else { return false }
            if done < count {
                var hold = try channel.producer.hold()
                done += try sent[done...].withUnsafeBytes { try hold.write($0) }
                if hold.finish(peerPolls: false) { victim.ring() }
            }
            var hold = try channel.consumer.hold()
            let got = try room.withUnsafeMutableBytes { try hold.read(into: $0) }
            if hold.finish(peerPolls: false) { victim.ring() }
            back += room[..<got]
            if got == 0, try channel.consumer.hold().mayWait() {
                try patience.check("the honest connection stands still")
                try victim.waitForBell()
            }
        }
        guard back == sent else { throw Failed(message: "the honest connection carried other bytes than were sent") }
        honestBytes += UInt64(2 * count)
        return true
    }
}

extension ConsumerHold {
    /// Asks to be woken. - Returns: whether there is nothing to read yet.
    consuming func mayWait() throws(RingError) -> Bool { try requestWake() }
}

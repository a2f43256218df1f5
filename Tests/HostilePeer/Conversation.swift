// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import RingTransport
import TestSupport

/// In some rounds, one channel whose connection is not broken at once: a device is imported, configured and used, while
/// the payload of what is sent to it changes under its reader's eyes; then the guard is told a lie, and must see it.
final class Conversation {
    /// One that this side opens, and that carries USB/IP.
    static let channel = 2

    private let victim: any Victim
    private var importer = USBImporter()
    private var pending: [UInt8] = []
    private(set) var isGoingOn = false
    private var connections = 0
    private var answered = 0
    private var raced = 0
    private var lies = 0
    private var seen = 0

    init(_ victim: any Victim) { self.victim = victim }

    /// Sets it up, which takes the agent, and a device's kernel behind it, longer than a step of the storm.
    func begin(_ peer: Peer) throws {
        forget()
        isGoingOn = true
        let patience = Patience()
        var random = SeededGenerator(1)
        var mutator: Mutator?
        while importer.stage != .configured {
            try patience.check("no device can be imported and configured: \(importer.stage)")
            guard peer.turn() else {
                forget()
                try peer.comeUp()
                continue
            }
            turn(peer.channels[Self.channel], &random, &mutator)
            try ring(peer)
            try victim.waitForBell()
        }
        connections += 1
    }

    /// A step of it, if it is going on.
    func goOn(_ peer: Peer, _ mutator: inout Mutator) {
        guard isGoingOn else { return }
        var random = mutator.random
        var writer: Mutator? = mutator
        turn(peer.channels[Self.channel], &random, &writer)
        if let writer { mutator = writer }
        peer.ringForRecords()
        victim.ring()
    }

    /// A lie, and what comes of it.
    func end(_ peer: Peer, _ mutator: inout Mutator) throws {
        defer {
            answered += importer.answered
            isGoingOn = false
        }
        let channel = peer.channels[Self.channel]
        guard isGoingOn, importer.stage == .configured, channel.isEstablished, channel.fault == nil else { return }
        let patience = Patience()
        var bytes = pending + importer.lie(mutator.below(4))
        lies += 1
        while peer.turn() {
            try patience.check("the guard does not see a lie")
            switch channel.look() {
            case .peerReset: seen += 1; return
            default: break
            }
            guard channel.isEstablished, channel.fault == nil else { return }
            _ = read(channel)
            bytes.removeFirst(write(bytes, channel))
            try ring(peer)
            try victim.waitForBell()
        }
    }

    var report: String {
        "USB: \(connections) devices imported and configured, \(answered) requests answered, "
            + "\(raced) with data that changed meanwhile, \(seen) of \(lies) lies refused"
    }

    func check() throws {
        guard answered > 10 * connections, raced > 0, seen > 0 else {
            throw Failed(message: "no USB device was really used: \(report)")
        }
    }

    private func forget() {
        importer = USBImporter()
        pending = []
    }

    private func ring(_ peer: Peer) throws {
        peer.ringForRecords()
        victim.ring()
    }

    private func turn(_ channel: Channel, _ random: inout SeededGenerator, _ mutator: inout Mutator?) {
        guard channel.fault == nil else { return }
        switch channel.look() {
        case .established: forget()
        case .peerReset, .closed, .refused: forget()
        default: break
        }
        if channel.isFree() {
            channel.open(port: channel.service)
            forget()
        }
        guard channel.isEstablished else { return }
        importer.take(read(channel))
        if importer.stage == .refused || importer.stage == .lost {
            channel.reset()
            return
        }
        var payload = 0..<0
        if pending.isEmpty { (pending, payload) = importer.next(&random) }
        guard !pending.isEmpty else { return }
        let start = channel.producer.tail
        let count = write(pending, channel)
        if count == pending.count, !payload.isEmpty, mutator != nil {
            mutator?.scribble(channel, start, payload)
            raced += 1
        }
        pending.removeFirst(count)
    }

    private func read(_ channel: Channel) -> ArraySlice<UInt8> {
        var room = [UInt8](repeating: 0, count: 8192)
        do throws(RingError) {
            var reader = try channel.consumer.hold()
            let result = room.withUnsafeMutableBytes { raw in
                Result { () throws(RingError) in try reader.read(into: raw) }
            }
            let count = try result.get()
            if reader.finish(peerPolls: false) { victim.ring() }
            return room[..<count]
        } catch {
            channel.fail(.ring(error))
            return []
        }
    }

    private func write(_ bytes: [UInt8], _ channel: Channel) -> Int {
        do throws(RingError) {
            var writer = try channel.producer.hold()
            let result = bytes.withUnsafeBytes { raw in Result { () throws(RingError) in try writer.write(raw) } }
            let count = try result.get()
            if writer.finish(peerPolls: false) { victim.ring() }
            return count
        } catch {
            channel.fail(.ring(error))
            return 0
        }
    }
}

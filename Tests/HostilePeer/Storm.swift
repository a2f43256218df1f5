// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import RingBuffer
import RingTransport
import TestSupport

/// Mutations in rounds. In a round the link stays up, one thing is done to some channel at a time, and it counts when
/// the honest connection has carried bytes through the agent since. At a round's end the agent is asked what it
/// found, then the link itself is attacked, and comes up again.
final class Storm {
    static let roundLength = 256
    private let victim: any Victim
    private var peer: Peer
    private var mutator: Mutator
    private var programs: [Int32] = []
    private var counted = 0
    private var uncounted = 0
    private var rounds = 0
    private var honestBytes: UInt64 = 0
    /// By the words of the agent's status.
    private var faults: [String: Int] = [:]
    private var lostFaults = 0
    private var knownFaults = 0
    private var reasons: [String: Int] = [:]
    private var memoryAtFirst = "unknown"
    private var usbPhase: [Int: Int] = [:]
    private let conversation: Conversation

    /// What status says of a channel's fault, by a part of the sentence.
    static let faultWords = [
        "channel state that does not exist": "which does not exist",
        "transition that cannot be": "went to channel state",
        "a channel that is not the peer's": "is this side's to open", "no port": "opened a channel to port",
        "final index": "contradicts its tail", "ring index": "published ring index",
    ]
    /// What it says of a link that waits.
    static let reasonWords = [
        "empty section": "section is empty", "no Ringway header": "holds no Ringway header",
        "other version": "uses layout version", "other geometry": "is configured with channels=",
        "other side": "says that it is side", "link word": "is not valid", "stopped": "agent has stopped",
        "no acknowledgement": "has not acknowledged", "setting up": "is setting its section up",
        "silent": "heartbeat has not moved",
    ]

    init(_ victim: any Victim, seed: UInt64) throws {
        self.victim = victim
        mutator = Mutator(victim, seed: seed)
        peer = try Peer(victim, seed: seed &+ 1)
        conversation = Conversation(victim)
    }

    func run(_ mutations: Int) throws {
        mutator.fillRings()
        try peer.comeUp()
        while counted < mutations {
            if rounds % 16 == 7 { try conversation.begin(peer) }
            for _ in 0..<Self.roundLength where counted < mutations {
                // A channel that has broken the rules is not looked at any more: a round ends with the last of them.
                let open = peer.channels[1...].filter { !isGivenUp($0) }
                guard !open.isEmpty else { break }
                try step(open[mutator.below(open.count)])
            }
            try conversation.end(peer, &mutator)
            try victim.checkBounds()
            if asks { try tally() }
            try attackLink()
            rounds += 1
            if rounds == 20 { memoryAtFirst = victim.residentMemory() }
        }
    }

    private var asks: Bool { rounds < 48 || rounds % victim.roundsPerQuestion == 0 }

    /// The agent shows RESET, for good behind a fault; otherwise until this side has seen it.
    private func isGivenUp(_ channel: Channel) -> Bool {
        let page = victim.agents + SectionLayout.channelPage(channel.number)
        return SharedWord64(page + SectionLayout.channelState).loadAcquire() & 0xFFFF_FFFF
            == UInt64(ChannelState.reset.rawValue)
    }

    private func step(_ channel: Channel) throws {
        let isConversation = conversation.isGoingOn && channel.number == Conversation.channel
        if !isConversation { for _ in 0..<mutator.below(3) { use(channel) } }
        conversation.goOn(peer, &mutator)
        mutator.mutate(channel, gently: isConversation)
        if mutator.below(4) == 0 { serveLocal() }
        guard try peer.echo([64, 700, 4000][mutator.below(3)]) else {
            uncounted += 1
            return try peer.comeUp()
        }
        counted += 1
        // Where it has been told another one, its doorbells are lost: this peer would wait for a while at each step.
        SharedWord32(victim.own + SectionLayout.headerDoorbell).storeRelaxed(victim.doorbell)
    }

    // MARK: Traffic

    /// Takes a channel on, as a well-behaved peer does, so that it has a connection to be attacked.
    private func use(_ channel: Channel) {
        guard channel.fault == nil else { return }
        switch channel.look() {
        case .opened: channel.accept()
        case .established: usbPhase[channel.number] = 0
        default: break
        }
        if channel.isFree() {
            channel.open(port: channel.service)
        } else if channel.isEstablished {
            exchange(channel)
            if mutator.below(16) == 0 { channel.finish() }
            if mutator.below(16) == 0 { channel.reset() }
        }
        peer.ringForRecords()
        victim.ring()
    }

    private func exchange(_ channel: Channel) {
        let phase = usbPhase[channel.number] ?? 0
        var bytes = mutator.payload(channel)
        if phase == 0, !channel.carriesNoise {
            bytes = channel.opensHere ? USBBytes.requestImport : USBBytes.replyImport
        }
        usbPhase[channel.number] = phase + 1
        do throws(RingError) {
            var room = [UInt8](repeating: 0, count: 8192)
            if mutator.below(2) == 0 {
                var reader = try channel.consumer.hold()
                let result = room.withUnsafeMutableBytes { raw in
                    Result { () throws(RingError) in try reader.read(into: raw) }
                }
                _ = try result.get()
                _ = reader.finish(peerPolls: false)
            }
            if channel.state == .finished { return }
            var writer = try channel.producer.hold()
            let result = bytes.withUnsafeBytes { raw in Result { () throws(RingError) in try writer.write(raw) } }
            _ = try result.get()
            _ = writer.finish(peerPolls: false)
        } catch { channel.fail(.ring(error)) }
    }

    /// Programs of the attacked guest that connect to services of this side.
    private func serveLocal() {
        var room = [UInt8](repeating: 0x33, count: 4096)
        if programs.count < 4 {
            let socket = victim.connect()
            guard socket >= 0 else { return }
            let port = mutator.below(2) == 0 ? Services.usb : Services.noise
            AgentSocket.send(socket, AgentSocket.request(1, port: port, flags: 0))
            programs.append(socket)
            return
        }
        let index = mutator.below(programs.count)
        let socket = programs[index]
        let count = recv(socket, &room, room.count, cs_msg_dontwait())
        let isGone = count == 0 || count < 0 && cs_errno() != EAGAIN
        if isGone || mutator.below(32) == 0 {
            close(programs.remove(at: index))
        } else if count == 16 {
            AgentSocket.send(socket, USBBytes.requestImport)
        } else if count > 0 {
            AgentSocket.send(socket, Array(room[..<min(count, 512)]))
        }
    }

    // MARK: What the agent found

    private func tally() throws {
        try victim.checkPrograms()
        let status = try victim.status()
        let counters = status["counters"] as? [String: Int] ?? [:]
        let total = counters["peer-faults"] ?? 0
        var seen = 0
        for channel in status["channels"] as? [[String: Any]] ?? [] {
            guard let fault = channel["fault"] as? String else { continue }
            guard let name = Self.faultWords.first(where: { fault.contains($0.value) })?.key else {
                throw Failed(message: "the agent names a fault that a peer cannot cause: \(fault)")
            }
            faults[name, default: 0] += 1
            seen += 1
        }
        // Of a link that was lost since, the agent has forgotten the faults' words.
        lostFaults += total - knownFaults - seen
        knownFaults = total
    }

    /// What can be done to the link, each with what the agent must then say; the link comes up again behind it.
    private func attackLink() throws {
        let header = victim.own
        restoreHeader()
        let word = SharedWord64(header + SectionLayout.headerLinkWord)
        let epoch = peer.link.epoch
        let acknowledged = peer.link.acknowledged
        let (before, agentsWord) = (word.loadRelaxed(), peer.agentsWord)
        func say(_ state: UInt64, _ epoch: UInt32, _ acknowledged: UInt32) {
            word.storeRelease(state << 60 | UInt64(epoch) << 30 | UInt64(acknowledged))
        }
        func set(_ offset: Int, _ value: UInt32) { SharedWord32(header + offset).storeRelaxed(value) }
        switch rounds % 12 {
        case 0: say(0, epoch, acknowledged)
        case 1: say(9, epoch, acknowledged)
        case 2: say(1, epoch ^ 1, acknowledged)
        case 3: say(2, epoch, acknowledged ^ 1)
        case 4: SharedWord64(header).storeRelease(0)
        case 5: SharedWord64(header).storeRelease(mutator.random.next() | 1)
        case 6: set(SectionLayout.headerVersion, 2 + UInt32(mutator.below(1000)))
        case 7: set(SectionLayout.headerSide, [1, 2, .max][mutator.below(3)])
        case 8:
            let place = [SectionLayout.headerChannels, SectionLayout.headerRingCapacity, SectionLayout.headerOpensA]
            set(place[mutator.below(3)], UInt32(truncatingIfNeeded: mutator.random.next()))
        case 9: if rounds < 12 || rounds % 600 == 9 { try fallSilent() }
        case 10: say(1, 1 + UInt32(mutator.below(1 << 29)), 0)
        default: word.storeRelease(mutator.random.next())
        }
        // Fields of the header are looked at while the link is being set up.
        if (4...8).contains(rounds % 12) { say(1, epoch ^ 2, 0) }
        victim.ring()
        if word.loadRelaxed() != before { try awaitAnswer(to: agentsWord) }
        if asks {
            try victim.pass()
            try hearReason()
            if rounds % 12 == 3 || mutator.below(8) == 0 { try halfWay() }
        }
        try comeBack()
    }

    /// The agent has looked at the link when its own word is another one; but one that has given this side up before,
    /// since the machine had no time for this process, may leave its word as it is.
    private func awaitAnswer(to word: UInt64) throws {
        guard LinkWord(untrusted: word)?.state == .ready else { return try victim.pass() }
        let patience = Patience()
        while peer.agentsWord == word {
            try patience.check("it does not see what its peer's link word has become")
            try victim.waitForBell()
        }
        counted += 1
    }

    /// What the mutations of a round have done to the fields that a link is set up by.
    private func restoreHeader() {
        let geometry = Attack.geometry
        let fields = [
            (SectionLayout.headerVersion, Int(SectionLayout.version)), (SectionLayout.headerSide, 0),
            (SectionLayout.headerChannels, geometry.channels), (SectionLayout.headerFlags, 0),
            (SectionLayout.headerRingCapacity, geometry.ringCapacity), (SectionLayout.headerOpensA, geometry.opensA),
        ]
        for (place, value) in fields { SharedWord32(victim.own + place).storeRelaxed(UInt32(value)) }
        SharedWord64(victim.own + SectionLayout.headerMagic).storeRelease(SectionLayout.magic)
    }

    /// The agent gives a silent peer up, and says so once it has waited for as long again.
    private func fallSilent() throws {
        try peer.fallSilent()
        let patience = Patience()
        while reasons["silent"] == nil {
            try hearReason()
            try patience.check("it does not say that its peer is silent")
        }
    }

    /// Acknowledges the agent's epoch and goes no further.
    private func halfWay() throws {
        guard let agents = LinkWord(untrusted: peer.agentsWord) else { return }
        try restart()
        SharedWord64(victim.own + SectionLayout.headerLinkWord).storeRelease(
            LinkWord(.reset, epoch: peer.link.epoch, acknowledged: agents.epoch).raw)
        victim.ring()
        try victim.pass()
        counted += 1
        try hearReason()
    }

    private func hearReason() throws {
        guard let waiting = try victim.status()["waiting"] as? String else { return }
        guard let name = Self.reasonWords.first(where: { waiting.contains($0.value) })?.key else { return }
        reasons[name, default: 0] += 1
    }

    /// A peer that starts again: what it finds in its section is what the attack left.
    private func restart() throws {
        honestBytes += peer.honestBytes
        SharedWord64(victim.own + SectionLayout.headerMagic).storeRelease(0)
        peer = try Peer(victim, seed: mutator.random.next())
        usbPhase = [:]
    }

    private func comeBack() throws {
        try restart()
        try peer.comeUp()
    }

    // MARK: Behind the storm

    /// A peer that does nothing wrong finds the agent as it was: the same process, the link, a connection that carries
    /// a mebibyte, and a status.
    func cleanPeer() throws {
        programs.forEach { close($0) }
        try victim.checkBounds()
        try victim.checkPrograms()
        try comeBack()
        for attempt in 1... {
            if try carriesCleanly() { break }
            // The agent gives up a peer that the machine leaves no time: that is no fault of either.
            guard !peer.turn(), attempt < 4 else { throw Failed(message: "a clean peer loses its connection") }
            try comeBack()
        }
        try victim.checkAlive()
        honestBytes += peer.honestBytes
    }

    private func carriesCleanly() throws -> Bool {
        for _ in 0..<256 where try !peer.echo(4096) { return false }
        return try victim.status()["link"] as? String == "up"
    }

    func report() throws {
        let counters = try victim.status()["counters"] as? [String: Int] ?? [:]
        print("\(counted) mutations that the agent has looked at since, \(uncounted) that cost the honest connection")
        print("\(honestBytes >> 20) MB on the honest connection, each byte compared")
        print("\(counters["times-up"] ?? 0) times up, \(rounds) rounds")
        let mutations = mutator.counts.map { ($0.key.rawValue, $0.value) }
        print("mutations: \(Self.list(Dictionary(uniqueKeysWithValues: mutations)))")
        print("faults: \(Self.list(faults)), and \(lostFaults) that were gone before the agent was asked")
        print("why the link waited: \(Self.list(reasons))")
        print("counters: \(Self.list(counters))")
        print("the agent's memory: \(memoryAtFirst), now \(victim.residentMemory())")
        // What is known is said even if the rest cannot be asked any more.
        fflush(nil)
        let log = try victim.logLines()
        if let line = log.first(where: { $0.contains("ERROR: AddressSanitizer") || $0.contains("Fatal error") }) {
            throw Failed(message: "the agent's log has: \(line)")
        }
        let refusals = log.compactMap { line in
            line.range(of: "does not allow: ").map { String(line[$0.upperBound...].prefix { $0 != ";" }.prefix(40)) }
        }
        let refused = Dictionary(refusals.map { ($0, 1) }, uniquingKeysWith: +)
        print(conversation.report)
        print("refused by the guard, as far as the log has room: \(Self.list(refused))")
        let missing =
            Self.faultWords.keys.filter { faults[$0] == nil } + Self.reasonWords.keys.filter { reasons[$0] == nil }
        guard missing.isEmpty else { throw Failed(message: "never seen: \(missing.sorted().joined(separator: ", "))") }
        guard counters["guard-refusals"] ?? 0 > 0 else { throw Failed(message: "the guard refused nothing") }
        try conversation.check()
    }

    private static func list(_ counts: [String: Int]) -> String {
        counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }
}

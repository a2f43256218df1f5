// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import RingTransport
import USBIP

/// What the data path is told; it reads no configuration itself.
struct DataPathSettings {
    let side: Side
    let geometry: SectionGeometry
    let copy: CopyMode
    /// Beneath it are the listeners of this guest's services, in `port`.
    let runtimeDirectory: String
    let heartbeatMilliseconds: Int
    let heartbeatMisses: Int
    let connectMilliseconds: Int
    /// A peer that leaves an unlink unanswered for so long is gone: the exporter answers one at once.
    let unlinkMilliseconds: Int
    /// Whether the guard looks at what crosses on USB/IP's port.
    let isGuarded: Bool
    /// nil: every device may cross.
    let policy: Policy?
    /// What the open requests of one connection may take of the exporter's memory.
    let openBytes: Int
    /// How long to poll after traffic before sleeping; 0 for not at all.
    let spinMicroseconds: Int
    /// The group that may use the control socket.
    let group: UInt32
    /// For `status`: where the sections are, and of what kind.
    let sections: [SectionFacts]
}

/// What `status` says of a section.
struct SectionFacts {
    let side: Side
    let place: String
    let memoryType: String
    let bytes: Int
}

/// Totals since the agent started.
struct Counters {
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    var doorbellsRung: UInt64 = 0
    var doorbellsHeard: UInt64 = 0
    /// Of those: heard, and there was no byte to move.
    var doorbellsSpurious: UInt64 = 0
    /// How often they were so many that the doorbell was left alone for a while.
    var doorbellPauses: UInt64 = 0
    var opened: UInt64 = 0
    var accepted: UInt64 = 0
    var refused: UInt64 = 0
    var reset: UInt64 = 0
    var peerFaults: UInt64 = 0
    var guardRefusals: UInt64 = 0
    /// Connections whose program uses the ring itself.
    var direct: UInt64 = 0
    var wakeUps: UInt64 = 0
}

/// The data path: one thread, one epoll, no system call that can block but the wait itself. It never
/// touches sysfs: the kernel holds device locks while it waits for answers that this thread must move.
final class DataPath {
    let settings: DataPathSettings
    let link: Link
    let channels: [Channel]
    var resting: RestingChannels
    var connections: [Connection?]
    var clients: [ControlClient?] = []
    /// Programs that have connected to the control socket.
    var arrivals: UInt64 = 0
    let events: EventPoll
    let doorbell: Doorbell
    let descriptors: Descriptors
    /// Kept for the channels, which point into their memory.
    let controls: EndControls
    let identity: ProcessIdentity
    let bounce: UnsafeMutableRawBufferPointer
    /// Tells how many faults a section's mapping has had (a truncated file).
    let memoryFaults: () -> UInt32
    var counters = Counters()
    var mustRing = false
    /// Doorbells heard since the last pass over the rings.
    var justHeard: UInt32 = 0
    var pacing = DoorbellPacing()
    var withdrawals = WithdrawalClock()
    /// Of the last pass: there are connections; in one something waits for its other direction; a program in direct
    /// mode has an end; a withdrawal is held.
    private var isConnected = false
    private var isHolding = false
    private var isContended = false
    var holdsWithdrawals = false
    var stopping = false
    var exit = ExitCode.success
    /// When traffic was last seen, in microseconds; 0: since the clock was last asked, which may be a system call.
    private var lastTraffic: UInt64 = 0
    private var isSpinning = false
    /// Of this guest's sockets it can connect only to the services that are there for it.
    var isEnclosed = false
    /// Every system call is refused that the data path does not need.
    var isConfined = false
    /// The listener is not watched until the next heartbeat.
    var isDeaf = false
    /// nil: no program uses a ring itself.
    var direct: DirectMode?
    /// Number of the next question to the sysfs worker.
    var generation: UInt32 = 0

    /// Descriptors that live as long as the agent.
    struct Descriptors {
        let listener: Int32
        let termination: Int32
        let heartbeat: Int32
        let pollTimer: Int32
        let worker: Int32
    }

    init(
        settings: DataPathSettings, link: Link, channels: [Channel], resting: RestingChannels, events: EventPoll,
        doorbell: Doorbell,
        descriptors: Descriptors, controls: EndControls, identity: ProcessIdentity, memoryFaults: @escaping () -> UInt32
    ) {
        self.settings = settings
        self.link = link
        self.channels = channels
        self.resting = resting
        self.events = events
        self.doorbell = doorbell
        self.descriptors = descriptors
        self.controls = controls
        self.identity = identity
        self.memoryFaults = memoryFaults
        connections = [Connection?](repeating: nil, count: channels.count)
        bounce = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 16)
    }

    deinit { bounce.deallocate() }

    /// All that it has open before its first connection.
    var keptDescriptors: [Int32] {
        [
            descriptors.listener, descriptors.termination, descriptors.heartbeat, descriptors.pollTimer,
            descriptors.worker, events.descriptor, doorbell.descriptor, doorbell.sendDescriptor, controls.descriptor,
            direct?.own.shared ?? -1, direct?.peer.shared ?? -1,
        ]
    }

    /// Bytes in one pass that are more than a message.
    private static let much: UInt64 = 4096

    /// Runs until it is told to stop.
    func run() -> ExitCode {
        while !stopping {
            let busy = work()
            let timeout = busy ? 0 : sleepTime()
            events.wait(milliseconds: timeout) { self.handle($0) }
            counters.wakeUps &+= 1
        }
        dropConnections(ECONNRESET)
        link.stop()
        ringIfNeeded()
        return exit
    }

    /// One pass over everything that can be done without waiting.
    /// - Returns: whether another pass is due at once.
    func work() -> Bool {
        follow(link.look())
        var busy = false
        (isConnected, isHolding, isContended, holdsWithdrawals) = (false, false, false, false)
        let before = counters.bytesIn &+ counters.bytesOut
        if link.isUp {
            resting.find()
            for number in resting.busy {
                lookAt(number)
                if direct != nil { redeemTicket(number) }
                if connections[number] != nil, pump(number) { busy = true }
                resting.update(channels[number])
                guard let connection = connections[number] else { continue }
                isConnected = true
                if connection.isHolding { isHolding = true }
                if connection.isContended { isContended = true }
                if connection.rules?.isHolding == true { holdsWithdrawals = true }
            }
        }
        tendWithdrawals()
        ringIfNeeded()
        let moved = counters.bytesIn &+ counters.bytesOut &- before
        if justHeard > 0 { wasWoken(busy, moved) }
        justHeard = 0
        resumeDoorbell()
        if busy { (lastTraffic, isSpinning) = (0, settings.spinMicroseconds > 0) }
        // Nor is a peer looked at that has another byte each time: what it has is taken when the pause is over.
        if pacing.pausedUntil != 0, moved < DoorbellPacing.worth { return false }
        // A little is the whole of a message, most likely, and its answer will wake this thread: it is waited for at
        // once. Behind much there is more, and the peer need not ring for that.
        if busy, moved >= Self.much || isHolding { return true }
        if spins() { return true }
        return !armWakes()
    }

    /// The doorbell was heard, and so much was there to do.
    private func wasWoken(_ busy: Bool, _ bytes: UInt64) {
        if !busy { counters.doorbellsSpurious &+= UInt64(justHeard) }
        guard bytes < DoorbellPacing.worth, pacing.pausedUntil == 0,
            pacing.spend(forNothing: !busy, Clock.microseconds())
        else { return }
        events.remove(doorbell.descriptor)
        counters.doorbellPauses &+= 1
    }

    private func resumeDoorbell() {
        guard pacing.pausedUntil != 0, Clock.microseconds() >= pacing.pausedUntil,
            events.addInput(doorbell.descriptor, .doorbell)
        else { return }
        pacing.resume()
    }

    /// Within the time after traffic in which polling beats sleeping. Yields, so that a program on the same
    /// processor gets to answer.
    func spins() -> Bool {
        // Some microseconds pass between two looks at the clock.
        if counters.wakeUps & 7 == 0, isSpinning { isSpinning = sinceTraffic() < UInt64(settings.spinMicroseconds) }
        guard isSpinning else { return false }
        sched_yield()
        return true
    }

    /// Microseconds; those before the clock was asked the first time do not count.
    private func sinceTraffic() -> UInt64 {
        let now = Clock.microseconds()
        if lastTraffic == 0 { lastTraffic = now }
        return now &- lastTraffic
    }

    /// Publishes wake indices. - Returns: whether the agent may sleep.
    func armWakes() -> Bool {
        var quiet = true
        for number in resting.busy {
            guard let connection = connections[number], channels[number].isEstablished else { continue }
            do throws(ConnectionEnd) {
                if try !connection.maySleep() { quiet = false }
                if connection.isContended { isContended = true }
            } catch {
                end(number, error)
            }
        }
        ringIfNeeded()
        return quiet
    }

    /// Every sleep has a bound: a doorbell is a hint and may be lost.
    func sleepTime() -> Int32 {
        let untilWithdrawal = withdrawals.moment == 0 ? nil : withdrawals.left(Clock.microseconds())
        if let untilWithdrawal { Clock.arm(descriptors.pollTimer, microseconds: untilWithdrawal) }
        if pacing.pausedUntil != 0 { return max(1, Clock.millisecondsUntil(pacing.pausedUntil)) }
        // A program is in the midst of a copy, or was stopped there: it is waited for, not with.
        if isContended { return 1 }
        if doorbell.descriptor >= 0 { return isConnected ? 100 : 500 }
        guard link.isUp else { return 20 }
        // Without a doorbell: poll soon after traffic, seldom later.
        let idle = sinceTraffic()
        let pause: UInt64 = !isConnected ? 10_000 : idle < 20_000 ? 100 : idle < 1_000_000 ? 1000 : 5000
        Clock.arm(descriptors.pollTimer, microseconds: min(pause, untilWithdrawal ?? pause))
        return 100
    }

    func handle(_ event: Event) {
        switch event.source {
        case .doorbell:
            justHeard = doorbell.drain()
            counters.doorbellsHeard &+= UInt64(justHeard)
        case .listener: acceptClient()
        case .heartbeat: tick()
        case .pollTimer: _ = Clock.drain(descriptors.pollTimer)
        case .termination: stopping = true
        case .client: hear(event.index)
        case .channel:
            if event.readable { connections[event.index]?.readable = true }
            if event.writable { connections[event.index]?.writable = true }
            if event.ended { connections[event.index]?.hasEnd = true }
            if event.isGone { connections[event.index]?.isGone = true }
        case .worker: hearWorker()
        case .kick: hearKick(event.index)
        }
    }

    func tick() {
        // A guest that was paused finds many periods expired; for the peer's silence they count as one.
        guard Clock.drain(descriptors.heartbeat) > 0 else { return }
        if memoryFaults() > 0 {
            Log.error("a section's file was truncated while it was mapped; restore it and start the agent again")
            exit = .ioError
            stopping = true
            return
        }
        follow(link.tick())
        resting.wakeAll()
        for number in 0..<channels.count {
            losePatience(number)
            watchAnswers(number)
        }
        tendClients()
        if direct != nil { sweepDirect() }
    }

    func follow(_ event: LinkEvent) {
        switch event {
        case .none: break
        case .up:
            // Words of the epoch before say nothing of this one.
            resting.wakeAll()
            Log.info("link up: epoch \(link.epoch), peer epoch \(link.acknowledged)")
        case .lost(let reason):
            dropConnections(ECONNRESET)
            Log.info("link lost: \(reason.sentence(side: settings.side, geometry: settings.geometry))")
        case .ownSectionAlive:
            Log.error(
                "side \(settings.side.name)'s own section is in use: its heartbeat moves; "
                    + "stop the other agent of this side, or configure another section")
            exit = .unavailable
            stopping = true
        }
        if link.wantsDoorbell {
            link.wantsDoorbell = false
            mustRing = true
        }
    }

    func ringIfNeeded() {
        for number in resting.busy where channels[number].wantsDoorbell {
            channels[number].wantsDoorbell = false
            mustRing = true
        }
        guard mustRing else { return }
        mustRing = false
        // What a peer said in an epoch before this one does not count: a new one is rung for unconditionally.
        if link.isUp, link.peerPolls { return }
        doorbell.ring(peerIdentifier: link.peerDoorbell())
        counters.doorbellsRung &+= 1
    }
}

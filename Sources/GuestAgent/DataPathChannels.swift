// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import RingTransport
import USBIP

/// What the data path does with the channels of a link that is up.
extension DataPath {
    /// Follows one change of the peer's record.
    func lookAt(_ number: Int) {
        let channel = channels[number]
        let hadFault = channel.fault != nil
        switch channel.look() {
        case .none: break
        case .opened(let port): serve(channel, port)
        case .established: answerClient(number, 0)
        case .refused(let untrustedReason):
            counters.refused &+= 1
            answerClient(number, Self.connectError(untrustedReason))
            release(number)
        case .peerFinished: break
        case .peerReset:
            counters.reset &+= 1
            passRest(number)
            answerClient(number, ECONNREFUSED)
            release(number)
        case .closed:
            if let connection = connections[number] { tellEnd(connection) }
            release(number)
        }
        // A connection that the local service could not take at once is offered to it again.
        if let port = channel.waitingPort, connections[number] == nil { serve(channel, port) }
        if !hadFault, let fault = channel.fault {
            counters.peerFaults &+= 1
            Log.error("channel \(number) closed: \(fault.sentence); it stays closed until the link is set up anew")
        }
    }

    /// Only errors that connect() documents reach a program, whatever the peer sent.
    static func connectError(_ untrusted: UInt32) -> Int32 {
        switch Int32(truncatingIfNeeded: untrusted) {
        case ETIMEDOUT: return ETIMEDOUT
        case EHOSTUNREACH: return EHOSTUNREACH
        default: return ECONNREFUSED
        }
    }

    /// The peer opened a connection to a service of this guest.
    func serve(_ channel: Channel, _ port: UInt16) {
        // The program of the connection before may still be writing there; the next look tries again.
        if channel.isLeft { return }
        let socket = connectService(port)
        // A full backlog: the record stays as it is, and the next look tries again.
        if socket < 0, cs_errno() == EAGAIN { return }
        guard socket >= 0, events.addStream(socket, channel: channel.number) else {
            if socket >= 0 { close(socket) }
            counters.refused &+= 1
            channel.refuse(UInt32(ECONNREFUSED))
            return
        }
        channel.accept()
        counters.accepted &+= 1
        connections[channel.number] = Connection(channel: channel, socket: socket, rules(port, .exporter, socket))
    }

    /// A program's listener: one alone, or those in turn that share the port (SO_REUSEPORT), of either family.
    /// - Returns: the descriptor, or -1 with errno; EAGAIN when somebody listens, and every backlog is full.
    private func connectService(_ port: UInt16) -> Int32 {
        var failure = ECONNREFUSED
        for attempt in 0..<18 {
            let place = attempt < 2 ? "" : digits(UInt64((attempt / 2 + Int(counters.accepted)) & 7))
            let socket = LocalSocket.connect(compose("port/\(port)\(attempt & 1 == 0 ? ".4" : ".6")\(place)"))
            if socket >= 0 { return socket }
            if cs_errno() == EAGAIN { failure = EAGAIN }
        }
        cs_set_errno(failure)
        return -1
    }

    /// The guard of a connection to a port; nil when its bytes are no USB/IP, or nobody is to look at them.
    func rules(_ port: UInt16, _ role: GuardRole, _ socket: Int32) -> Guard? {
        guard settings.isGuarded, port == USBIPProtocol.port else { return nil }
        var limits = GuardLimits()
        if role == .exporter {
            limits.openBytes = settings.openBytes
            limits.holdsWithdrawals = true
        }
        if let policy = settings.policy {
            var process: Int32 = 0
            var user: UInt32 = 0
            var group: UInt32 = 0
            // Our own exporter has read the device's serial number, and has asked the policy about it.
            let isChecked =
                role == .exporter && cs_peer_credentials(socket, &process, &user, &group) == 0 && process == getppid()
            limits.interfaces = { record in
                policy.rules(exports: role == .exporter, record, serial: nil, isChecked: isChecked)
            }
        }
        return Guard(role, limits: limits)
    }

    /// Moves bytes both ways.
    /// - Returns: whether any moved.
    func pump(_ number: Int) -> Bool {
        guard let connection = connections[number], channels[number].isEstablished, connection.client == nil else {
            return false
        }
        if let page = connection.channel.direct?.page {
            page.isOpen.storeRelease(1)
            if connection.channel.peerFinal != nil { page.isEnding.storeRelease(1) }
        }
        var moved = 0
        var failure: ConnectionEnd?
        do throws(ConnectionEnd) {
            connection.isContended = false
            let outward = try connection.pumpOutward(peerPolls: link.peerPolls, bounce: bounce)
            counters.bytesOut &+= UInt64(outward.moved)
            let inward = try connection.pumpInward(peerPolls: link.peerPolls, bounce: bounce)
            counters.bytesIn &+= UInt64(inward.moved)
            if outward.ring || inward.ring { mustRing = true }
            moved = outward.moved + inward.moved
            passEnds(connection)
        } catch {
            failure = error
        }
        if let failure { end(number, failure) }
        return moved > 0
    }

    /// What the peer sent before it gave the connection up is the program's, as on a TCP connection that is reset: as
    /// much of it as its socket has room for.
    func passRest(_ number: Int) {
        guard let connection = connections[number], connection.client == nil else { return }
        do throws(ConnectionEnd) {
            var looks = 0
            repeat {
                connection.isContended = false
                connection.channel.direct?.page.isAttended.storeRelaxed(0)
                counters.bytesIn &+= UInt64(try connection.pumpInward(peerPolls: true, bounce: bounce).moved)
                // A program that is just reading is soon done; one that was stopped there loses what it has not read.
                looks += 1
                if connection.isContended { sched_yield() }
            } while connection.isContended && looks < 200
            let channel = connection.channel
            if channel.finalBeforeReset == channel.consumer.head, !channel.holdsBytes { tellEnd(connection) }
        } catch {}
    }

    /// Half-close, each way.
    func passEnds(_ connection: Connection) {
        let channel = connection.channel
        if connection.localFinished { channel.finish() }
        if channel.hasReadAll { tellEnd(connection) }
    }

    /// The program has got all, and the peer ended in order. The name keeps that for when this end is closed, which is
    /// a reset without it (docs/shim.md).
    private func tellEnd(_ connection: Connection) {
        guard !connection.toldFinished, connection.client == nil else { return }
        connection.toldFinished = true
        _ = cs_name_outcome(connection.socket, 0)
        shutdown(connection.socket, cs_shut_wr())
    }

    /// A connection ended early: the peer is told, the local socket closed.
    func end(_ number: Int, _ why: ConnectionEnd) {
        switch why {
        case .local:
            // What the program said before it left is whole: the peer's program gets its end. Not so where it has left
            // bytes in its ring, as one that was killed may have: the kernel tells of those in a socket only.
            if connections[number]?.localFinished == true,
                channels[number].direct?.page.isGivenUp.loadAcquire() != 0
            {
                channels[number].finish()
            }
            channels[number].reset()
        case .refused(let direction):
            counters.guardRefusals &+= 1
            channels[number].reset()
            let sentence = connections[number]?.rules?.sentence ?? ""
            Log.error(
                "channel \(number) closed by the guard: \(direction == .inward ? "the peer" : "this guest's kernel") "
                    + "sent what USB/IP or the policy does not allow: \(sentence)")
        case .ring(let error):
            counters.peerFaults &+= 1
            let fault = ChannelFault.ring(error)
            channels[number].fail(fault)
            Log.error("channel \(number) closed: \(fault.sentence); it stays closed until the link is set up anew")
        }
        counters.reset &+= 1
        release(number)
    }

    /// Lets the local half of a connection go. Closing the socket is what tells the kernel's USB/IP drivers.
    func release(_ number: Int) {
        guard let connection = connections[number] else { return }
        connections[number] = nil
        if let slot = connection.client { forgetClient(slot) }
        events.remove(connection.socket)
        connection.channel.takeBack()
        close(connection.socket)
    }

    func dropConnections(_ error: Int32) {
        for number in 0..<channels.count {
            answerClient(number, error)
            release(number)
        }
    }

    /// Gives up on a peer that does not answer an OPEN, or never confirms an ACCEPT.
    func losePatience(_ number: Int) {
        guard let connection = connections[number], !channels[number].isEstablished else { return }
        connections[number]?.patience += 1
        let waited = Int(connection.patience + 1) * settings.heartbeatMilliseconds
        guard waited >= settings.connectMilliseconds else { return }
        answerClient(number, ETIMEDOUT)
        channels[number].reset()
        counters.reset &+= 1
        release(number)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// The library's `connect`: a TCP connection to a mapped local address becomes a channel.
@c(connect)
public func shimConnect(_ fd: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> Int32 {
    guard let target = Endpoint(address, length: length), target.isLocal,
        let service = Settings.service(ofPort: target.port)
    else { return next_connect(fd, address, length) }

    let localPort: UInt16
    switch Identity(of: fd) {
    case .connected, .accepted: return fail(EISCONN)
    case .listener(let own, let family):
        guard family == target.family, !Kernel.isListening(fd) else { return fail(EISCONN) }
        localPort = Settings.port(ofService: own)
    case .foreign:
        guard Kernel.familyOfFreshTCPSocket(fd) == target.family else { return next_connect(fd, address, length) }
        localPort = Kernel.localPort(fd)
    }
    let result = ChannelRequest(remote: target.asDestination, localPort: localPort, service: service)
        .connect(inPlaceOf: fd)
    return result == 0 ? 0 : fail(-result)
}

/// One connection on its way to the agent.
private struct ChannelRequest {
    let remote: Endpoint
    let localPort: UInt16
    let service: UInt16

    /// 0, or a negative errno as TCP would give it; then the program's socket is as it was.
    func connect(inPlaceOf fd: Int32) -> Int32 {
        let stream = raw_unix_stream()
        guard stream >= 0 else { return stream }
        var result = bindName(stream)
        if result == 0 { result = reachAgent(stream) }
        if result == 0 { result = exchange(stream) }
        guard result == 0 else {
            _ = raw_close(stream)
            return result
        }
        return Kernel.put(stream, inPlaceOf: fd)
    }

    /// Takes a local port: the program's own, or one of the range that Linux uses.
    private func bindName(_ stream: Int32) -> Int32 {
        if localPort != 0 { return bindName(stream, port: localPort) }
        let first: UInt32 = 32_768
        let count: UInt32 = 28_232
        let start = raw_random() % count
        for attempt in 0..<256 as Range<UInt32> {
            let result = bindName(stream, port: UInt16(first + (start + attempt) % count))
            if result != -EADDRINUSE { return result }
        }
        return -EADDRNOTAVAIL
    }

    private func bindName(_ stream: Int32, port: UInt16) -> Int32 {
        var name = Text()
        ConnectionName.append(local: remote.source(port: port), remote: remote, to: &name)
        return UnixAddress(name, isPath: false)?.bind(stream) ?? -EADDRNOTAVAIL
    }

    private func reachAgent(_ stream: Int32) -> Int32 {
        var path = Text()
        Settings.appendPath("/agent.sock", to: &path)
        guard let address = UnixAddress(path, isPath: true) else {
            report("the runtime directory's path is too long for a socket")
            return -ECONNREFUSED
        }
        // The kernel waits while the agent's queue is full: an agent that was stopped never empties it.
        setSendTimeout(stream, milliseconds: Settings.timeoutMilliseconds)
        var result = address.connect(stream)
        while result == -EINTR { result = address.connect(stream) }
        switch result {
        case 0: return 0
        case -ENOENT, -ECONNREFUSED:
            report("no agent answers at ", agentPath: true, "; start `ringway agent`")
            return -ECONNREFUSED
        case -EACCES, -EPERM:
            report("no permission to use ", agentPath: true, "; run as the user who owns it")
            return -EACCES
        case -EAGAIN:
            report("the agent accepts no connection at ", agentPath: true, "; is it stopped?")
            return -ETIMEDOUT
        default:
            report("cannot use ", agentPath: true, "")
            return -ECONNREFUSED
        }
    }

    /// Asks for the channel and waits for the agent's answer, which comes when the peer has accepted.
    private func exchange(_ stream: Int32) -> Int32 {
        var request = AgentRequest(service: service)
        guard raw_send(stream, &request, MemoryLayout<AgentRequest>.size) == MemoryLayout<AgentRequest>.size else {
            report("the agent closed the connection before it was asked; see `ringway status`")
            return -ECONNREFUSED
        }
        let deadline = raw_monotonic_milliseconds() + Settings.timeoutMilliseconds
        var reply = AgentReply()
        let result = receive(stream, &reply, count: MemoryLayout<AgentReply>.size, deadline: deadline)
        guard result == 0 else {
            if result == -ETIMEDOUT {
                report("the agent did not answer in time at ", agentPath: true, "; is it stopped?")
            } else {
                report("the agent closed the connection without an answer; see `ringway status`")
            }
            return result
        }
        guard reply.magic == AgentRequest.magicNumber, reply.result < 4096, reply.result != 0 || reply.length == 0
        else {
            report("what answers at ", agentPath: true, " is not a ringway agent of this version")
            return -ECONNREFUSED
        }
        guard reply.result != 0 else { return 0 }
        explainRefusal(stream, reply, deadline: deadline)
        return -Int32(reply.result)
    }

    private func explainRefusal(_ stream: Int32, _ reply: AgentReply, deadline: Int64) {
        var message = start()
        let room: UInt32 = 400
        var reason = InlineArray<400, UInt8>(repeating: 0)
        let count = Int(reply.length < room ? reply.length : room)
        if count > 0, receive(stream, &reason, count: count, deadline: deadline) == 0 {
            // One line, whatever the agent sent.
            for index in 0..<count { message.append(byte: reason[index] < 0x20 ? 0x20 : reason[index]) }
        } else {
            message.append(meaning(of: Int32(reply.result)))
            message.append(" (error ")
            message.append(decimal: UInt64(reply.result))
            message.append("); see `ringway status`")
        }
        message.writeAsLine()
    }

    private func meaning(of error: Int32) -> StaticString {
        switch error {
        case ECONNREFUSED: return "no program listens for it in the peer's guest"
        case EHOSTUNREACH, ENETUNREACH: return "the peer's agent is not there"
        case ETIMEDOUT: return "the peer did not answer in time"
        case EADDRNOTAVAIL: return "every channel is in use"
        case EACCES, EPERM: return "it is not permitted"
        default: return "the agent refused"
        }
    }

    /// Fills the buffer; -ETIMEDOUT, or -ECONNREFUSED when the agent goes away.
    private func receive(
        _ stream: Int32, _ buffer: UnsafeMutableRawPointer, count: Int, deadline: Int64
    ) -> Int32 {
        var done = 0
        while done < count {
            let left = deadline - raw_monotonic_milliseconds()
            guard left > 0 else { return -ETIMEDOUT }
            let ready = raw_wait_readable(stream, left)
            if ready <= 0 { continue }  // time is over, or a signal: the loop looks at the clock
            let got = raw_receive(stream, buffer + done, count - done)
            if got == -EINTR { continue }
            guard got > 0 else { return -ECONNREFUSED }
            done += Int(got)
        }
        return 0
    }

    private func setSendTimeout(_ stream: Int32, milliseconds: Int64) {
        var limit = (milliseconds / 1000, milliseconds % 1000 * 1000)
        _ = raw_setsockopt(stream, SOL_SOCKET, SO_SNDTIMEO, &limit, 16)
    }

    private func start() -> Text {
        var message = Text()
        message.append("ringway: connection to service ")
        message.append(decimal: UInt64(service))
        message.append(": ")
        return message
    }

    private func report(_ what: StaticString, agentPath: Bool = false, _ advice: StaticString = "") {
        var message = start()
        message.append(what)
        if agentPath { Settings.appendPath("/agent.sock", to: &message) }
        message.append(advice)
        message.writeAsLine()
    }
}

/// The agent's control socket speaks little-endian; both architectures do.
private struct AgentRequest {
    static var magicNumber: UInt32 { 0x3143_5752 }  // "RWC1"
    let magic = AgentRequest.magicNumber
    let operation: UInt16 = 1  // CONNECT
    let service: UInt16
    let flags: UInt32 = 0
    let reserved: UInt32 = 0
}

private struct AgentReply {
    var magic: UInt32 = 0
    var result: UInt32 = 0
    var length: UInt32 = 0
    var reserved: UInt32 = 0
}

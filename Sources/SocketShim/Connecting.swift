// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// The library's `connect`: a TCP connection to a mapped local address becomes a channel.
@c(shim_connect)
func shimConnect(_ fd: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> Int32 {
    shim_close_abandoned()
    let endpoint = Endpoint(address, length: length)
    guard let target = endpoint, target.isLocal, let service = Settings.service(ofPort: target.port) else {
        Trace.leave("connect", fd, endpoint, Trace.reason(endpoint))
        return connectElsewhere(fd, address, length)
    }

    let localPort: UInt16
    switch Identity(of: fd) {
    case .accepted: return fail(EISCONN)
    case .connected(let own, _):
        // A socket that is to wait by now does.
        switch ConnectionState.awaited(fd, unless: { Kernel.isNonBlocking(fd) }) {
        case .pending: return fail(EALREADY)
        case .established: return Kernel.takeUnasked(fd) ? 0 : fail(EISCONN)
        case .failed(let error):
            let isPending = Kernel.takeError(fd) != 0
            if Kernel.takeUnasked(fd) { return fail(isPending ? error : ECONNABORTED) }
            guard own.family == target.family else { return next_connect(fd, address, length) }
            localPort = 0
        }
    case .listener(let own, let family, _):
        guard family == target.family, !Kernel.isListening(fd) || Kernel.isStopped(fd) else { return fail(EISCONN) }
        localPort = Settings.port(ofService: own)
    case .foreign:
        guard Kernel.familyOfFreshTCPSocket(fd) == target.family else {
            Trace.leave("connect", fd, target, Trace.reason(target))
            return next_connect(fd, address, length)
        }
        localPort = Kernel.localPort(fd)
    }
    let result = ChannelRequest(
        socket: fd, inode: raw_inode(fd), remote: target.asDestination, localPort: localPort, service: service
    ).connect()
    Trace.outcome("connect", fd, target, service, " of the peer", "connected", -result)
    return result == 0 ? 0 : fail(-result)
}

/// To what is not mapped: a listener or a connection of this library is what TCP's would be.
private func connectElsewhere(_ fd: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> Int32 {
    let inode = raw_inode(fd)
    let identity = Identity(of: fd)
    guard let family = identity.family else { return next_connect(fd, address, length) }
    let isDissolving =
        address != nil && length >= 2 && raw_is_readable(address, 2) != 0
        && Int32(address.unsafelyUnwrapped.pointee.sa_family) == AF_UNSPEC
    switch identity {
    case .listener:
        guard isDissolving else { break }
        if Kernel.isListening(fd), !Kernel.isStopped(fd) { stopListening(fd, inode) }
        return 0
    case .accepted, .connected:
        var state = ConnectionState.established
        if case .connected = identity { state = ConnectionState(of: fd) }
        if state == .pending { break }
        if state == .established, !isDissolving { return fail(EISCONN) }
        // What stands for a connection that is over, or was not made, is a socket that has never been connected.
        let fresh = Temporary { raw_tcp_socket(family.domain) }
        guard raw_inode(fd) == inode else {
            fresh.close()
            return fail(EBADF)
        }
        let result = Kernel.put(fresh, inPlaceOf: fd)
        guard result == 0 else { return fail(-result) }
        if isDissolving { return 0 }
    case .foreign: break
    }
    return next_connect(fd, address, length)
}

/// Whether a connection to that address would be this library's.
@c(shim_is_mapped)
func isMapped(_ fd: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> Int32 {
    guard let target = Endpoint(address, length: length), target.isLocal,
        Settings.service(ofPort: target.port) != nil, Kernel.familyOfFreshTCPSocket(fd) == target.family
    else { return 0 }
    Trace.note("send", fd, "a connection is not opened by sending (MSG_FASTOPEN is refused): connect first")
    return 1
}

/// One connection on its way to the agent.
private struct ChannelRequest {
    /// The program's socket, and what it is: other threads may close it meanwhile and use its number again.
    let socket: Int32
    let inode: UInt64
    let remote: Endpoint
    let localPort: UInt16
    let service: UInt16

    /// 0, or a negative errno as TCP would give it; then the program's socket is as it was, unless it is -EINPROGRESS.
    func connect() -> Int32 {
        if let result = begin(waits: !Kernel.isNonBlocking(socket)) { return result }
        let stream = Temporary.stream()
        guard stream.fd >= 0 else { return stream.fd }
        var result = bindName(stream.fd)
        if result == 0 { result = reachAgent(stream.fd) }
        if result == 0 { result = exchange(stream.fd) }
        return put(stream, result)
    }

    /// The agent gives the stream at once, without waiting for the peer. There is no room in it until the peer has
    /// accepted.
    /// - Parameter waits: for that.
    /// - Returns: nil when the agent cannot give one, but may make the connection if it is waited for.
    private func begin(waits: Bool) -> Int32? {
        let control = Temporary.stream()
        guard control.fd >= 0 else { return control.fd }
        var given = shim_kept(fd: -1, place: -1)
        // Who is not to wait for the peer does not wait for an agent that is stopped, either.
        let limit = waits ? Settings.timeoutMilliseconds : min(Settings.timeoutMilliseconds, 1000)
        var result = reachAgent(control.fd, limit)
        if result == 0 { result = exchange(control.fd, limit, stream: &given) }
        let stream = Temporary(given)
        control.close()
        guard stream.fd >= 0 else {
            switch -result {
            // No descriptors, or too many that wait in sockets for programs that do not fetch them; another agent.
            case EMFILE, ENFILE, ENOBUFS, ENOMEM, ETOOMANYREFS, EAGAIN, EINVAL: return nil
            default: return result == 0 ? -ECONNREFUSED : result
            }
        }
        if result == 0 { result = bindName(stream.fd) }
        if !waits {
            Kernel.setUnasked(stream.fd)
        } else if result == 0 {
            result = wait(stream.fd)
        }
        result = put(stream, result)
        return result == 0 && !waits ? -EINPROGRESS : result
    }

    /// Until the peer has answered.
    private func wait(_ stream: Int32) -> Int32 {
        switch ConnectionState.awaited(stream) {
        case .established: return 0
        case .failed(let error):
            explain(error)
            return -error
        case .pending:
            report("the agent did not answer in time at ", agentPath: true, "; is it stopped?")
            return -ETIMEDOUT
        }
    }

    /// The stream takes the socket's place when the result is 0, and is closed in any case.
    private func put(_ stream: consuming Temporary, _ result: Int32) -> Int32 {
        if result == 0, raw_inode(socket) == inode { return Kernel.put(stream, inPlaceOf: socket) }
        stream.close()
        // Another thread has closed the socket, or connected it.
        return result == 0 ? (Identity(of: socket).isForeign ? -EBADF : -EALREADY) : result
    }

    /// Takes a local port: the program's own, or one of the range that Linux uses.
    private func bindName(_ stream: Int32) -> Int32 {
        if localPort != 0 {
            let result = bindName(stream, port: localPort)
            return result == -EADDRINUSE ? -EADDRNOTAVAIL : result
        }
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

    private func reachAgent(_ stream: Int32, _ limit: Int64 = Settings.timeoutMilliseconds) -> Int32 {
        var path = Text()
        Settings.appendPath("/agent.sock", to: &path)
        guard let address = UnixAddress(path, isPath: true) else {
            report("the runtime directory's path is too long for a socket")
            return -ECONNREFUSED
        }
        // The kernel waits while the agent's queue is full: an agent that was stopped never empties it.
        setSendTimeout(stream, milliseconds: limit)
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

    /// Asks for the channel and waits for the agent's answer, which comes when the peer has accepted; or at once with a
    /// stream, where there is room for one.
    private func exchange(
        _ stream: Int32, _ limit: Int64 = Settings.timeoutMilliseconds,
        stream given: UnsafeMutablePointer<shim_kept>? = nil
    ) -> Int32 {
        var request = AgentRequest(operation: given == nil ? 1 : 4, service: service)
        guard raw_send(stream, &request, MemoryLayout<AgentRequest>.size) == MemoryLayout<AgentRequest>.size else {
            report("the agent closed the connection before it was asked; see `ringway status`")
            return -ECONNREFUSED
        }
        let deadline = raw_monotonic_milliseconds() + limit
        var reply = AgentReply()
        let result = receive(stream, &reply, count: MemoryLayout<AgentReply>.size, deadline: deadline, given)
        guard result == 0 else {
            if result == -ETIMEDOUT {
                report("the agent did not answer in time at ", agentPath: true, "; is it stopped?")
            } else if result != -EMFILE {
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
        switch Int32(reply.result) {
        case EHOSTUNREACH, EADDRNOTAVAIL, EACCES, EPERM: break
        // A stream that the agent cannot give is asked for in the other way.
        default: if given != nil { return -Int32(reply.result) }
        }
        explainRefusal(stream, reply, deadline: deadline)
        return -Int32(reply.result)
    }

    private func explainRefusal(_ stream: Int32, _ reply: AgentReply, deadline: Int64) {
        guard reply.length > 0 else { return explain(Int32(reply.result)) }
        var message = start()
        let room: UInt32 = 400
        var reason = InlineArray<400, UInt8>(repeating: 0)
        let count = Int(reply.length < room ? reply.length : room)
        guard receive(stream, &reason, count: count, deadline: deadline) == 0 else {
            return explain(Int32(reply.result))
        }
        // One line, whatever the agent sent.
        for index in 0..<count { message.append(byte: reason[index] < 0x20 ? 0x20 : reason[index]) }
        message.writeAsLine()
    }

    private func explain(_ error: Int32) {
        var message = start()
        message.append(meaning(of: error))
        message.append(" (error ")
        message.append(decimal: UInt64(error))
        message.append("); see `ringway status`")
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
        _ stream: Int32, _ buffer: UnsafeMutableRawPointer, count: Int, deadline: Int64,
        _ descriptor: UnsafeMutablePointer<shim_kept>? = nil
    ) -> Int32 {
        var done = 0
        while done < count {
            let left = deadline - raw_monotonic_milliseconds()
            guard left > 0 else { return -ETIMEDOUT }
            let ready = raw_poll(stream, Int32(POLLIN), left)
            if ready <= 0 { continue }  // time is over, or a signal: the loop looks at the clock
            let got =
                descriptor.map { raw_receive_with(stream, buffer + done, count - done, $0) }
                ?? raw_receive(stream, buffer + done, count - done)
            if got == -EINTR || got == -EAGAIN { continue }
            if got == -EMFILE { return got }
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
    let operation: UInt16  // CONNECT or BEGIN
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

// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// What a descriptor is to this library.
///
/// The answer is read from the kernel's own names of the socket, each time. So it holds after dup, fork
/// and exec and for a descriptor that another program passed on, and there is no table to lock or lose.
enum Identity {
    /// A socket, file or number that is none of this library's business.
    case foreign
    /// Bound to a service, and perhaps listening, perhaps beside others: `<runtime-dir>/port/<service>.<4|6>[0-7]`.
    case listener(service: UInt16, Family, place: UInt8?)
    /// A connection that a listener accepted.
    case accepted(service: UInt16, Family)
    /// A connection to a service, made by `connect`.
    case connected(local: Endpoint, remote: Endpoint)

    init(of fd: Int32) {
        self = .foreign
        guard Kernel.option(fd, SOL_SOCKET, SO_DOMAIN) == AF_UNIX else { return }
        var address = sockaddr_un()
        var length = socklen_t(MemoryLayout<sockaddr_un>.size)
        guard raw_getsockname(fd, &address, &length) == 0 else { return }
        let count = Int(length) - 2
        guard count > 0, count <= 108 else { return }
        withUnsafeBytes(of: &address) { bytes in
            let name = bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self) + 2
            if let (service, family, place) = ServicePath.parse(name, count: count) {
                self =
                    Kernel.isConnected(fd)
                    ? .accepted(service: service, family)
                    : .listener(service: service, family, place: place)
            } else if let (local, remote) = ConnectionName.parse(name, count: count) {
                self = .connected(local: local, remote: remote)
            }
        }
    }

    var isForeign: Bool {
        if case .foreign = self { return true }
        return false
    }

    var family: Family? {
        switch self {
        case .foreign: return nil
        case .listener(_, let family, _), .accepted(_, let family): return family
        case .connected(let local, _): return local.family
        }
    }
}

/// What has become of a connection that `connect` began. There is no room in its stream before it is made; why it was
/// not made the agent says. Both are known to every process that has the descriptor.
enum ConnectionState: Equatable {
    /// The peer has not answered.
    case pending
    case established
    /// It was not made, and why: an errno.
    case failed(Int32)

    init(of fd: Int32) {
        self = .pending
        if let known = Self.said(fd) {
            self = known
            return
        }
        if Kernel.isMade(fd) {
            self = .established
            return
        }
        let bits = raw_poll(fd, Int32(POLLOUT), 0)
        if bits & Int32(POLLHUP) != 0 {
            // The name comes before the end; an agent that was killed leaves none.
            self = Self.said(fd) ?? .failed(ECONNREFUSED)
        } else if bits & Int32(POLLOUT) != 0 {
            Kernel.setMade(fd)
            self = .established
        }
    }

    private static func said(_ fd: Int32) -> ConnectionState? {
        switch AgentWord(of: fd) {
        case .nothing: return nil
        case .refused(let error): return .failed(error)
        case .ended, .other: return .established
        }
    }

    /// What it is when the peer has answered, or the time is over.
    static func awaited(_ fd: Int32, unless isToReturn: () -> Bool = { false }) -> ConnectionState {
        let deadline = raw_monotonic_milliseconds() + Settings.timeoutMilliseconds
        while true {
            let state = ConnectionState(of: fd)
            let left = deadline - raw_monotonic_milliseconds()
            guard state == .pending, !isToReturn(), left > 0 else { return state }
            _ = raw_poll(fd, Int32(POLLOUT), left)
        }
    }
}

/// What the agent says of a stream in the name of its end, which is the name of the program's peer: so it is known to
/// every process that has the descriptor, and is still there when the agent has closed its end.
enum AgentWord {
    case nothing
    /// The connection was not made, and why: an errno.
    case refused(Int32)
    /// The peer's direction has ended in order, and all of it has arrived.
    case ended
    /// A name that it had before: of the socket by which the program reached it.
    case other

    init(of fd: Int32) {
        var address = sockaddr_un()
        var length = socklen_t(MemoryLayout<sockaddr_un>.size)
        self = .nothing
        guard raw_getpeername(fd, &address, &length) == 0, length > 2 else { return }
        self = withUnsafeBytes(of: &address) { bytes in
            let name = bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self) + 2
            var scanner = Scanner(name, count: Int(length) - 2)
            guard scanner.skip(0), scanner.skip("ringway") else { return .other }
            if scanner.skip(0x2B) { return .ended }
            guard scanner.skip(0x2D), let error = scanner.decimal(limit: 4095) else { return .other }
            return .refused(Int32(error))
        }
    }
}

/// The path of a service's listening socket. Sockets that share the port (SO_REUSEPORT) each have a place of their own,
/// and the agent takes them in turn.
enum ServicePath {
    /// As many as the agent looks at.
    static var places: UInt8 { 8 }

    static func append(service: UInt16, _ family: Family, place: UInt8? = nil, to text: inout Text) {
        Settings.appendPath("/port/", to: &text)
        text.append(decimal: UInt64(service))
        text.append(byte: 0x2E)
        text.append(byte: family.rawValue)
        if let place { text.append(byte: 0x30 + place) }
    }

    static func parse(_ name: UnsafePointer<UInt8>, count: Int) -> (UInt16, Family, place: UInt8?)? {
        // The kernel counts the terminating zero of a path.
        var scanner = Scanner(name, count: name[count - 1] == 0 ? count - 1 : count)
        guard scanner.skip(cString: shim_directory(shim_settings())), scanner.skip("/port/"),
            let service = scanner.decimal(limit: 65_535), scanner.skip(0x2E)
        else { return nil }
        let family: Family = scanner.skip(Family.v4.rawValue) ? .v4 : .v6
        guard family == .v4 || scanner.skip(Family.v6.rawValue) else { return nil }
        if scanner.isAtEnd { return (UInt16(service), family, nil) }
        guard let place = scanner.decimal(limit: UInt64(places - 1)), scanner.isAtEnd else { return nil }
        return (UInt16(service), family, UInt8(place))
    }
}

/// The abstract name that a connection is bound to before it goes to the agent.
///
/// It holds both addresses of the TCP connection that it stands for, in hexadecimal:
/// `ringway/4/7f000001:9c41/7f000001:0ca8`. So getsockname and getpeername can answer, and two
/// connections cannot have the same pair, as in TCP.
enum ConnectionName {
    static func append(local: Endpoint, remote: Endpoint, to text: inout Text) {
        text.append(byte: 0)
        text.append("ringway/")
        text.append(byte: local.family.rawValue)
        append(local, to: &text)
        append(remote, to: &text)
    }

    private static func append(_ endpoint: Endpoint, to text: inout Text) {
        text.append(byte: 0x2F)
        if endpoint.family == .v6 { text.append(hexadecimal: endpoint.high, digits: 16) }
        text.append(hexadecimal: endpoint.low, digits: endpoint.family == .v4 ? 8 : 16)
        text.append(byte: 0x3A)
        text.append(hexadecimal: UInt64(endpoint.port), digits: 4)
    }

    static func parse(_ name: UnsafePointer<UInt8>, count: Int) -> (Endpoint, Endpoint)? {
        var scanner = Scanner(name, count: count)
        guard scanner.skip(0), scanner.skip("ringway/") else { return nil }
        let family: Family = scanner.skip(Family.v4.rawValue) ? .v4 : .v6
        guard family == .v4 || scanner.skip(Family.v6.rawValue),
            let local = endpoint(family, &scanner), let remote = endpoint(family, &scanner), scanner.isAtEnd
        else { return nil }
        return (local, remote)
    }

    private static func endpoint(_ family: Family, _ scanner: inout Scanner) -> Endpoint? {
        var high: UInt64 = 0
        guard scanner.skip(0x2F) else { return nil }
        if family == .v6 {
            guard let value = scanner.hexadecimal(digits: 16) else { return nil }
            high = value
        }
        guard let low = scanner.hexadecimal(digits: family == .v4 ? 8 : 16), scanner.skip(0x3A),
            let port = scanner.hexadecimal(digits: 4)
        else { return nil }
        return Endpoint(family: family, high: high, low: low, port: UInt16(port))
    }
}

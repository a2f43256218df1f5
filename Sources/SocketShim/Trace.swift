// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// What `ringway run --verbose` says on standard error: one line for each call that this library decided on.
///
///     ringway: 4711: connect(5, 127.0.0.1:3240): service 3240 of the peer: connected
///     ringway: 4711: connect(6, 192.0.2.7:80): left to TCP: not the loopback
enum Trace {
    /// A call that is none of the library's business, and why.
    static func leave(_ call: StaticString, _ fd: Int32, _ endpoint: Endpoint?, _ why: StaticString) {
        guard Settings.isVerbose, let endpoint else { return }
        var line = start(call, fd, endpoint)
        line.append("left to TCP: ")
        line.append(why)
        line.writeAsLine()
    }

    /// Why a mapped call is left to TCP.
    static func reason(_ endpoint: Endpoint?) -> StaticString {
        guard let endpoint else { return "no address of TCP" }
        if !endpoint.isLocal { return "not the loopback" }
        return Settings.service(ofPort: endpoint.port) == nil
            ? "its port is not mapped; --port does that" : "not a fresh TCP socket of that family"
    }

    /// What a `connect` or `bind` came to.
    /// - Parameter error: an errno, or 0.
    static func outcome(
        _ call: StaticString, _ fd: Int32, _ endpoint: Endpoint, _ service: UInt16, _ place: StaticString,
        _ done: StaticString, _ error: Int32
    ) {
        guard Settings.isVerbose else { return }
        var line = start(call, fd, endpoint)
        line.append("service ")
        line.append(decimal: UInt64(service))
        line.append(place)
        line.append(": ")
        if error == 0 { line.append(done) } else { append(error, to: &line) }
        line.writeAsLine()
    }

    /// A connection that a listener gave.
    static func accepted(_ stream: Int32, of listener: Int32) {
        guard Settings.isVerbose else { return }
        var line = start("accept", listener, nil)
        line.append("a connection of the peer: ")
        line.append(decimal: UInt64(stream))
        line.writeAsLine()
    }

    /// What a stream cannot do, or has come to.
    static func note(_ call: StaticString, _ fd: Int32, _ what: StaticString) {
        guard Settings.isVerbose else { return }
        var line = start(call, fd, nil)
        line.append(what)
        line.writeAsLine()
    }

    private static func start(_ call: StaticString, _ fd: Int32, _ endpoint: Endpoint?) -> Text {
        var line = Text()
        line.append("ringway: ")
        line.append(decimal: UInt64(raw_process()))
        line.append(": ")
        line.append(call)
        line.append("(")
        line.append(decimal: UInt64(fd < 0 ? 0 : fd))
        if let endpoint {
            line.append(", ")
            endpoint.append(to: &line)
        }
        line.append("): ")
        return line
    }

    private static func append(_ error: Int32, to line: inout Text) {
        switch error {
        case EINPROGRESS: line.append("begun; it says when the peer has answered (EINPROGRESS)")
        case ECONNREFUSED: line.append("refused (ECONNREFUSED)")
        case ETIMEDOUT: line.append("no answer in time (ETIMEDOUT)")
        case EHOSTUNREACH: line.append("no link to the peer (EHOSTUNREACH)")
        case EADDRINUSE: line.append("another program has it (EADDRINUSE)")
        case EACCES: line.append("not permitted (EACCES)")
        default:
            line.append("error ")
            line.append(decimal: UInt64(error))
        }
    }
}

extension Endpoint {
    /// `127.0.0.1:3240` or `[::1]:3240`.
    func append(to text: inout Text) {
        switch family {
        case .v4:
            for part in 0..<4 {
                text.append(decimal: low >> UInt64(24 - 8 * part) & 255)
                if part < 3 { text.append(byte: 0x2E) }
            }
        case .v6:
            text.append("[")
            appendGroups(to: &text)
            text.append("]")
        }
        text.append(byte: 0x3A)
        text.append(decimal: UInt64(port))
    }

    private func appendGroups(to text: inout Text) {
        if high == 0, low <= 1 { return text.append(low == 0 ? "::" : "::1") }
        for group in 0..<8 {
            let word = group < 4 ? high >> UInt64(48 - 16 * group) : low >> UInt64(112 - 16 * group)
            text.append(hexadecimal: word & 0xFFFF, digits: 4)
            if group < 7 { text.append(byte: 0x3A) }
        }
    }
}

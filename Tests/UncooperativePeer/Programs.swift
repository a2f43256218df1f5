// SPDX-License-Identifier: Apache-2.0
import CShim

/// The programs of a guest under attack: port 7 sends back what comes, port 9 takes all and sends noise, and up to two
/// connect to the peer's. Bytes that come to port 9 name their channel in the upper half: a byte that names another
/// one than the first did came from where it should not, and is complained of in /tmp/wrong-bytes.
struct Programs {
    private enum Kind { case echo, noise }

    private struct Stream {
        let fd: Int32
        let kind: Kind
        /// This side has opened it, on whatever channel: its bytes may be any.
        var isOwn = false
        var named: UInt8?
    }

    private static let agent = "/run/ringway/agent.sock"
    private var streams: [Stream] = []
    private var buffer = [UInt8](repeating: 0x5A, count: 16384)
    private let listeners: [(Int32, Kind)]

    init?() {
        listeners = [
            (Local.listen("/run/ringway/port/7.4"), .echo), (Local.listen("/run/ringway/port/9.4"), .noise),
        ]
        if listeners[0].0 < 0 || listeners[1].0 < 0 { return nil }
    }

    /// Goes on until it is killed.
    mutating func run() {
        var turns = 0
        while true {
            var entries: [pollfd] = []
            for (fd, _) in listeners { entries.append(pollfd(fd: fd, events: Int16(POLLIN), revents: 0)) }
            for stream in streams { entries.append(pollfd(fd: stream.fd, events: Int16(POLLIN), revents: 0)) }
            entries.withUnsafeMutableBufferPointer { _ = poll($0.baseAddress, nfds_t($0.count), 500) }
            for i in entries.indices.reversed() where entries[i].revents != 0 {
                if i < listeners.count {
                    accept(listeners[i].0, listeners[i].1)
                } else if !serve(i - listeners.count) {
                    close(streams[i - listeners.count].fd)
                    streams.remove(at: i - listeners.count)
                }
            }
            // Seldom: an agent without a link refuses at once.
            turns += 1
            if turns % 64 == 0 { connect() }
        }
    }

    private mutating func accept(_ listener: Int32, _ kind: Kind) {
        let fd = CShim.accept(listener, nil, nil)
        if fd >= 0 { streams.append(Stream(fd: fd, kind: kind)) }
    }

    /// Operation 1 of the agent's control socket, for port 9.
    private mutating func connect() {
        var ours = 0
        for stream in streams where stream.isOwn { ours += 1 }
        guard ours < 2 else { return }
        let fd = Local.connect(Self.agent)
        guard fd >= 0 else { return }
        let request: [UInt8] = [0x52, 0x57, 0x43, 0x31, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        _ = Local.send(fd, request[...])
        streams.append(Stream(fd: fd, kind: .noise, isOwn: true))
    }

    /// - Returns: false at the end of the stream.
    private mutating func serve(_ index: Int) -> Bool {
        let fd = streams[index].fd
        let count = buffer.withUnsafeMutableBufferPointer { recv(fd, $0.baseAddress, $0.count, cs_msg_dontwait()) }
        if count < 0, cs_errno() == EAGAIN { return true }
        guard count > 0 else { return false }
        let flags = cs_msg_dontwait() | cs_msg_nosignal()
        if streams[index].kind == .echo {
            buffer.withUnsafeBufferPointer { _ = CShim.send(fd, $0.baseAddress, count, flags) }
            return true
        }
        for i in 0..<count where !streams[index].isOwn {
            let named = streams[index].named ?? buffer[i] >> 4
            streams[index].named = named
            if buffer[i] >> 4 != named { close("/tmp/wrong-bytes".withCString { creat($0, 0o600) }) }
        }
        buffer.withUnsafeBufferPointer { _ = CShim.send(fd, $0.baseAddress, 1 + count % 4096, flags) }
        return true
    }
}

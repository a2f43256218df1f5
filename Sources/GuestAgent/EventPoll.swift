// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// What an event belongs to; travels through epoll as one word.
enum EventSource: UInt32 {
    case doorbell = 1
    case listener = 2
    case heartbeat = 3
    case termination = 4
    case pollTimer = 5
    case client = 6
    case channel = 7
    case worker = 8
    case kick = 9
}

/// One ready descriptor.
struct Event {
    let source: EventSource
    /// Channel number or client (`DataPath.mark`).
    let index: Int
    let readable: Bool
    let writable: Bool
    /// The other end is gone, or says no more.
    let ended: Bool
    /// Nothing moves any more, either way.
    let isGone: Bool
}

/// epoll, with events copied out of the kernel's packed structure.
final class EventPoll {
    static let batch = 64
    let descriptor: Int32
    let buffer: UnsafeMutablePointer<epoll_event>

    /// - Returns: nil with errno set.
    init?() {
        descriptor = epoll_create1(cs_epoll_cloexec())
        buffer = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.batch)
        if descriptor < 0 { return nil }
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    private func key(_ source: EventSource, _ index: Int) -> UInt64 {
        UInt64(source.rawValue) << 32 | UInt64(index)
    }

    /// Reports input, level-triggered.
    func addInput(_ fd: Int32, _ source: EventSource, index: Int = 0) -> Bool {
        cs_epoll_ctl(descriptor, EPOLL_CTL_ADD, fd, cs_epollin(), key(source, index)) == 0
    }

    /// Reports each time that there is more.
    func addEdges(_ fd: Int32, _ source: EventSource, index: Int) -> Bool {
        cs_epoll_ctl(descriptor, EPOLL_CTL_ADD, fd, cs_epollin() | cs_epollet(), key(source, index)) == 0
    }

    /// Reports, as input, that the other end is gone or says no more.
    func addHangup(_ fd: Int32, _ source: EventSource, index: Int) -> Bool {
        cs_epoll_ctl(descriptor, EPOLL_CTL_ADD, fd, cs_epollrdhup(), key(source, index)) == 0
    }

    /// Reports each change of a stream socket, edge-triggered: the caller remembers what is ready.
    func addStream(_ fd: Int32, channel: Int) -> Bool {
        let events = cs_epollin() | cs_epollout() | cs_epollrdhup() | cs_epollet()
        return cs_epoll_ctl(descriptor, EPOLL_CTL_ADD, fd, events, key(.channel, channel)) == 0
    }

    func remove(_ fd: Int32) {
        _ = cs_epoll_ctl(descriptor, EPOLL_CTL_DEL, fd, 0, 0)
    }

    /// Waits at most `milliseconds` and hands each event to `body`.
    func wait(milliseconds: Int32, _ body: (Event) -> Void) {
        let count = cs_epoll_wait(descriptor, buffer, Int32(Self.batch), milliseconds)
        var i = 0
        while i < Int(count) {
            let key = cs_epoll_data(buffer + i)
            let events = cs_epoll_events(buffer + i)
            let trouble = events & (cs_epollerr() | cs_epollhup() | cs_epollrdhup()) != 0
            if let source = EventSource(rawValue: UInt32(key >> 32)) {
                body(
                    Event(
                        source: source, index: Int(key & 0xFFFF_FFFF),
                        readable: trouble || events & cs_epollin() != 0,
                        writable: trouble || events & cs_epollout() != 0, ended: trouble,
                        isGone: events & cs_epollhup() != 0))
            }
            i += 1
        }
    }
}

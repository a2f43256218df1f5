// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// Why bytes did not come or go.
enum StreamFailure: Error, Equatable {
    case timedOut
    case closed
    case failed(Int32)

    /// What happened, for a message.
    var sentence: String {
        switch self {
        case .timedOut: return "no answer in time"
        case .closed: return "the connection was closed"
        case .failed(let error): return systemMessage(error)
        }
    }
}

/// A stream socket for a dialogue: whole messages, with one time limit for all of it.
struct StreamIO {
    let socket: Int32
    /// By `Clock.microseconds()`.
    let deadline: UInt64

    init(_ socket: Int32, milliseconds: Int) {
        self.socket = socket
        deadline = Clock.microseconds() &+ UInt64(milliseconds) * 1000
    }

    @inline(never)
    private func wait(_ events: Int32) throws(StreamFailure) {
        while true {
            let now = Clock.microseconds()
            guard now < deadline else { throw .timedOut }
            var waiting = pollfd(fd: socket, events: Int16(events), revents: 0)
            let ready = poll(&waiting, 1, Int32(truncatingIfNeeded: (deadline - now) / 1000 + 1))
            if ready > 0 { return }
            if ready < 0, cs_errno() != EINTR { throw .failed(cs_errno()) }
        }
    }

    @inline(never)
    func send(_ bytes: [UInt8]) throws(StreamFailure) {
        var done = 0
        while done < bytes.count {
            let flags = cs_msg_dontwait() | cs_msg_nosignal()
            let count = bytes.withUnsafeBufferPointer {
                CShim.send(socket, $0.baseAddress! + done, bytes.count - done, flags)
            }
            if count > 0 {
                done += count
            } else if count < 0, cs_errno() == EAGAIN {
                try wait(POLLOUT)
            } else if count < 0, cs_errno() != EINTR {
                throw cs_errno() == EPIPE ? .closed : .failed(cs_errno())
            }
        }
    }

    /// At least one byte, at most `limit`: a decoder says how many it can use, and what follows belongs to the kernel.
    @inline(never)
    func receive(atMost limit: Int) throws(StreamFailure) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: limit)
        while true {
            let count = buffer.withUnsafeMutableBufferPointer { recv(socket, $0.baseAddress, limit, cs_msg_dontwait()) }
            if count > 0 { return Array(buffer[0..<count]) }
            if count == 0 { throw .closed }
            if cs_errno() == EAGAIN { try wait(POLLIN) } else if cs_errno() != EINTR { throw .failed(cs_errno()) }
        }
    }

    /// Everything up to the peer's end.
    @inline(never)
    func receiveAll(atMost limit: Int) throws(StreamFailure) -> [UInt8] {
        var all: [UInt8] = []
        while all.count < limit {
            do throws(StreamFailure) {
                all += try receive(atMost: min(4096, limit - all.count))
            } catch {
                if error == .closed { return all }
                throw error
            }
        }
        return all
    }
}

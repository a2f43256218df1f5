// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim

/// The agents' work done by TCP: socket, relay, TCP, relay, socket. It is what two guests with a network would have.
final class RelayOverTCP: Carrier {
    let name: String
    let sleeps = true
    private let ends: Descriptors
    private let relays: [Relay]

    /// - Parameter processors: each relay runs on that of the program that it serves.
    init(processors: [Int32], _ waiting: Waiting = .polling) throws {
        name = BenchGoals.relay + waiting.rawValue
        var (one, other): (Int32, Int32) = (-1, -1)
        guard cb_tcp_pair(&one, &other) == 0 else {
            throw BenchError.system("connect over TCP", "bring the loopback up (ip link set lo up)")
        }
        let wire = Descriptors([one, other])
        let relays = try zip(processors, wire.numbers).map { try Relay(to: $1, processor: $0, waiting) }
        ends = Descriptors(relays.map(\.program))
        self.relays = relays
    }

    func open(message: Int) throws -> CarrierChannel? { KernelChannel(.unixStream, ends, from: 0, message: message) }

    func openBoth(message: Int) throws -> (there: CarrierChannel, back: CarrierChannel)? {
        (
            KernelChannel(.unixStream, ends, from: 0, message: message),
            KernelChannel(.unixStream, ends, from: 1, message: message)
        )
    }
}

/// A process that moves bytes between a program's socket and a connection, until it is released.
private final class Relay {
    /// The program's end.
    let program: Int32
    private let process: pid_t

    init(to wire: Int32, processor: Int32, _ waiting: Waiting) throws {
        var pair: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0, &pair) == 0 else {
            throw BenchError.system("make a socket", "raise the limit on open files")
        }
        program = pair[0]
        process = cb_fork(0)
        if process == 0 {
            guard cb_pin(processor) == 0 else { cb_exit(1) }
            Self.relay(pair[1], wire, waiting)
        }
        close(pair[1])
        guard process > 0 else {
            close(pair[0])
            throw BenchError.system("start a process", "raise the limit on processes")
        }
    }

    deinit {
        guard process > 0 else { return }
        kill(process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, cs_errno() == EINTR {}
    }

    /// Both ways, until one of them ends.
    private static func relay(_ one: Int32, _ other: Int32, _ waiting: Waiting) -> Never {
        let room = PrivateBytes(256 << 10)
        guard let bytes = room.bytes.baseAddress else { cb_exit(1) }
        var watched = [one, other].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var latest: UInt64 = 0
        while true {
            let isPatient = waiting == .asleep || Board.now &- latest > Waiting.microseconds * 1000
            if poll(&watched, 2, isPatient ? -1 : 0) == 0 {
                // The program that it serves is on the same processor.
                sched_yield()
                continue
            }
            for place in 0..<2 where watched[place].revents != 0 {
                let count = read(watched[place].fd, bytes, room.bytes.count)
                if count <= 0 { cb_exit(0) }
                var done = 0
                while done < count {
                    let written = write(watched[1 - place].fd, bytes + done, count - done)
                    if written <= 0 { cb_exit(0) }
                    done += written
                }
            }
            latest = Board.now
        }
    }
}

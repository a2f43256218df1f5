// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim

/// The agents' work done by TCP: socket, relay, TCP, relay, socket. It is what two guests with a network would have.
final class RelayOverTCP: Carrier {
    let name = "the same relay over TCP"
    private let ends: Descriptors
    private var relays: [pid_t] = []

    /// - Parameter processors: each relay runs on that of the program that it serves.
    init(processors: [Int32]) throws {
        var (one, other): (Int32, Int32) = (-1, -1)
        guard cb_tcp_pair(&one, &other) == 0 else {
            throw BenchError.system("connect over TCP", "bring the loopback up (ip link set lo up)")
        }
        let wire = Descriptors([one, other])
        var programs: [Int32] = []
        for (index, processor) in processors.enumerated() {
            var pair: [Int32] = [-1, -1]
            guard socketpair(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0, &pair) == 0 else {
                throw BenchError.system("make a socket", "raise the limit on open files")
            }
            programs.append(pair[0])
            let relay = cb_fork(0)
            guard relay >= 0 else { throw BenchError.system("start a process", "raise the limit on processes") }
            if relay == 0 {
                _ = cb_pin(processor)
                Self.relay(pair[1], wire.numbers[index])
            }
            relays.append(relay)
            close(pair[1])
        }
        ends = Descriptors(programs)
    }

    deinit {
        for relay in relays {
            kill(relay, SIGKILL)
            var status: Int32 = 0
            waitpid(relay, &status, 0)
        }
    }

    func open(message: Int) throws -> CarrierChannel? { KernelChannel(.unixStream, ends, from: 0, message: message) }

    func openBoth(message: Int) throws -> (there: CarrierChannel, back: CarrierChannel)? {
        (
            KernelChannel(.unixStream, ends, from: 0, message: message),
            KernelChannel(.unixStream, ends, from: 1, message: message)
        )
    }

    /// Both ways, until one of them ends.
    private static func relay(_ one: Int32, _ other: Int32) -> Never {
        let room = PrivateBytes(256 << 10)
        guard let bytes = room.bytes.baseAddress else { cb_exit(1) }
        var watched = [one, other].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        while true {
            poll(&watched, 2, -1)
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
        }
    }
}

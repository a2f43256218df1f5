// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CShim

/// One of the two programs of ``DirectPrograms``: an ordinary one that uses TCP. Descriptor 10 hears of it.
struct DirectHalf: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "half", shouldDisplay: false)

    @Option var port: UInt16
    @Option var trips: Int
    @Option var megabytes: Int
    @Flag var answers = false

    func run() throws {
        let socket = socket(AF_INET, cs_sock_stream(), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let end = answers ? try accepted(socket, &address) : try connected(socket, &address)
        if answers { try answer(Stream(end)) } else { try ask(Stream(end)) }
    }

    private func tell(_ number: UInt64) {
        var number = number
        _ = write(10, &number, 8)
    }

    private static func with(
        _ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    private func accepted(_ socket: Int32, _ address: inout sockaddr_in) throws -> Int32 {
        guard Self.with(&address, { bind(socket, $0, $1) }) == 0, listen(socket, 1) == 0 else {
            throw BenchError.system("listen", "try again")
        }
        tell(1)
        return accept(socket, nil, nil)
    }

    /// The agents may not have linked yet.
    private func connected(_ first: Int32, _ address: inout sockaddr_in) throws -> Int32 {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            let one = socket(AF_INET, cs_sock_stream(), 0)
            if Self.with(&address, { connect(one, $0, $1) }) == 0 { return one }
            close(one)
            sched_yield()
        }
        throw BenchError.system("connect", "read what the agents have said")
    }

    private var warm: Int { max(100, trips / 20) }

    private func answer(_ stream: Stream) throws {
        var room = [UInt8](repeating: 0, count: StreamCells.write)
        if trips > 0 {
            for _ in 0..<warm + trips {
                try stream.read(64, into: &room)
                try stream.write(room, 64)
            }
        }
        // What is warm is not counted: the first megabyte, and an answer.
        for part in megabytes > 0 ? [1, megabytes] : [] {
            for _ in 0..<(part << 20) / StreamCells.write { try stream.read(StreamCells.write, into: &room) }
            try stream.write(room, 1)
        }
        _ = try? stream.read(1, into: &room)
    }

    private func ask(_ stream: Stream) throws {
        var room = [UInt8](repeating: 1, count: StreamCells.write)
        var began = ContinuousClock.now
        for number in 0..<(trips > 0 ? warm + trips : 0) {
            if number == warm { began = ContinuousClock.now }
            room[0] = UInt8(truncatingIfNeeded: number)
            try stream.write(room, 64)
            room[0] = ~room[0]
            try stream.read(64, into: &room)
            guard room[0] == UInt8(truncatingIfNeeded: number) else {
                throw BenchError(tried: "read an answer", happened: "it was another one", remedy: "report it")
            }
        }
        for part in megabytes > 0 ? [1, megabytes] : [] {
            began = ContinuousClock.now
            for _ in 0..<(part << 20) / StreamCells.write { try stream.write(room, StreamCells.write) }
            try stream.read(1, into: &room)
        }
        let time = ContinuousClock.now - began
        tell(UInt64(time / .nanoseconds(1)))
    }
}

extension Stream {
    /// The first so many.
    fileprivate func write(_ bytes: [UInt8], _ count: Int) throws {
        var done = 0
        while done < count {
            let part = bytes.withUnsafeBytes { CShim.write(socket, $0.baseAddress! + done, count - done) }
            guard part > 0 else { throw BenchError.system("write", "read what the agents have said") }
            done += part
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

/// Bytes one way, in writes of 64 KiB, and the limit of the machine beside them.
enum StreamCells {
    static let write = 64 << 10
    static let copy = "memcpy of 1 MiB"
    static let throughSocket = "AF_UNIX stream, one process writes and reads"
    static let copiedOut = "ring, copied out and looked at"
    static let inPlace = "ring, looked at in place"

    static var rings: [any Carrier] { [RingCarrier(capacity: 1 << 20), OneLockRing(capacity: 1 << 20)] }

    static func cell(megabytes: Int, _ carriers: [any Carrier]) -> Cell {
        Cell(
            id: "stream", title: "byte stream, writes of \(ByteText.of(write))", unit: "GB/s", lowerIsBetter: false,
            contenders: [
                Contender(name: copy) { try copyMemory(megabytes, $0) }
            ]
                + carriers.map { carrier in
                    Contender(name: carrier.name) { pair in try carry(carrier, megabytes, pair) }
                }
                + [
                    Contender(name: copiedOut) { try look(copiedOut, megabytes, $0, ConsumerEnd.lookAtCopies) },
                    Contender(name: inPlace) { try look(inPlace, megabytes, $0, ConsumerEnd.lookInPlace) },
                ])
    }

    /// Through agents, or relays.
    /// - Parameter run: programs under `ringway run`, where there are any.
    static func pump(megabytes: Int, _ carriers: [any Carrier], _ run: RunPair? = nil) -> Cell {
        let count = (megabytes << 20) / write
        let programs = run.map { run in
            Contender(name: RunPair.name) { _ in
                measurement(megabytes, try run.run(RunJob(.stream, message: write, warm: 64, count: count)))
            }
        }
        return Cell(
            id: "pump-stream", title: "byte stream through the agents, writes of \(ByteText.of(write))", unit: "GB/s",
            lowerIsBetter: false,
            contenders: carriers.map { carrier in
                Contender(name: carrier.name) { try carry(carrier, megabytes, $0) }
            } + [Contender(name: throughSocket) { try passSocket(megabytes, $0) }, programs].compactMap(\.self))
    }

    private static func measurement(_ megabytes: Int, _ outcome: ProcessPair.Outcome) -> Measurement {
        Measurement(value: Double(megabytes << 20) / Double(outcome.nanoseconds), regime: outcome.regime)
    }

    /// In one of the two processes, while the other waits for it.
    private static func copyMemory(_ megabytes: Int, _ pair: ProcessPair) throws -> Measurement {
        let size = 1 << 20
        let (from, to) = (try SharedArea(size), try SharedArea(size))
        let copy = { (times: Int) -> UInt64 in
            for number in 0..<times {
                from.base.storeBytes(of: UInt64(number), as: UInt64.self)
                memcpy(to.base, from.base, size)
                if to.base.load(as: UInt64.self) != UInt64(number) { return 1 }
            }
            return 0
        }
        let outcome = try pair.run(
            Self.copy, .idle, .init(prepare: { _ = copy(4) }, checking: { copy(megabytes) }))
        return measurement(megabytes, outcome)
    }

    /// What the kernel does for the bytes on one side of a pump, without anybody to wait for: no pump, one of whose
    /// processors has a program and its agent, can be faster.
    private static func passSocket(_ megabytes: Int, _ pair: ProcessPair) throws -> Measurement {
        let own = PrivateBytes(write)
        let channel = try KernelCarrier(.unixStream).opened(write)
        let pass = { (times: Int) in
            for _ in 0..<times {
                try channel.send(UnsafeRawBufferPointer(own.bytes))
                try channel.receive(own.bytes)
            }
        }
        let outcome = try pair.run(
            throughSocket, .init(prepare: { try pass(64) }, sending: { try pass((megabytes << 20) / write) }), .idle)
        return measurement(megabytes, outcome)
    }

    private static func carry(_ carrier: any Carrier, _ megabytes: Int, _ pair: ProcessPair) throws -> Measurement {
        let count = (megabytes << 20) / write
        return measurement(megabytes, try MessageCells.carry(carrier, write, warm: 64, count, pair))
    }

    /// The consumer looks at a byte of each line.
    private static func look(
        _ name: String, _ megabytes: Int, _ pair: ProcessPair,
        _ consume: @escaping (ConsumerEnd) -> (Int) throws -> UInt64
    ) throws -> Measurement {
        let ends = try RingEnds(capacity: 1 << 20)
        let few = 4 << 20
        let total = megabytes << 20
        let outcome = try pair.run(
            name,
            .init(prepare: { try ends.producer.fill(few) }, sending: { try ends.producer.fill(total) }),
            .init(
                prepare: { _ = try consume(ends.consumer)(few) },
                checking: { try consume(ends.consumer)(total) == UInt64(total / 64) ? 0 : 1 }))
        return measurement(megabytes, outcome)
    }
}

extension ProducerEnd {
    /// Bytes of 1, in writes of 64 KiB.
    fileprivate func fill(_ total: Int) throws {
        let own = PrivateBytes(StreamCells.write)
        own.bytes.initializeMemory(as: UInt8.self, repeating: 1)
        var done = 0
        while done < total {
            var hold = try hold()
            let part = UnsafeRawBufferPointer(rebasing: own.bytes[0..<min(own.bytes.count, total - done)])
            let count = try hold.write(part)
            _ = hold.finish(peerPolls: true)
            if count == 0 { cs_cpu_relax() }
            done += count
        }
    }
}

extension ConsumerEnd {
    /// - Returns: the sum of one byte of each line.
    fileprivate func lookAtCopies(_ total: Int) throws -> UInt64 {
        let own = PrivateBytes(StreamCells.write)
        var done = 0
        var sum: UInt64 = 0
        while done < total {
            var hold = try hold()
            let count = try hold.read(into: own.bytes)
            _ = hold.finish(peerPolls: true)
            if count == 0 { cs_cpu_relax() }
            sum &+= own.bytes.sumOfLines(count, from: done)
            done += count
        }
        return sum
    }

    fileprivate func lookInPlace(_ total: Int) throws -> UInt64 {
        var done = 0
        var sum: UInt64 = 0
        while done < total {
            var hold = try hold()
            let span = try hold.peek().first
            let count = min(span.count, StreamCells.write)
            sum &+= span.sumOfLines(count, from: done)
            try hold.consume(count)
            _ = hold.finish(peerPolls: true)
            if count == 0 { cs_cpu_relax() }
            done += count
        }
        return sum
    }
}

extension UnsafeMutableRawBufferPointer {
    /// - Parameter place: in the stream, of which every 64th byte counts.
    fileprivate func sumOfLines(_ count: Int, from place: Int) -> UInt64 {
        guard let baseAddress else { return 0 }
        var sum: UInt64 = 0
        var offset = (64 - place % 64) % 64
        while offset < count {
            sum &+= UInt64(baseAddress.load(fromByteOffset: offset, as: UInt8.self))
            offset += 64
        }
        return sum
    }
}

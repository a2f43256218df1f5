// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

/// A record of at most 56 bytes in one line each way (``LineRecord``).
final class LineCarrier: Carrier {
    static let name = "record of one line"
    var name: String { Self.name }

    func open(message: Int) throws -> CarrierChannel? { try openBoth(message: message)?.there }

    func openBoth(message: Int) throws -> (there: CarrierChannel, back: CarrierChannel)? {
        guard message <= LineRecord.payload else { return nil }
        let area = try SharedArea(4096)
        // Two lines apart: adjacent ones are fetched together.
        let lines = [area.base, area.base + 128]
        let ends = [0, 1].map { LineEnd(own: lines[$0], peer: lines[1 - $0], area) }
        return (
            Channel(message: message, source: ends[0], target: ends[1]),
            Channel(message: message, source: ends[1], target: ends[0])
        )
    }

    private struct Channel: CarrierChannel {
        let message: Int
        let source: LineEnd
        let target: LineEnd

        func send(_ bytes: UnsafeRawBufferPointer) throws {
            while try !source.record.pointee.send(bytes) { cs_cpu_relax() }
        }

        /// The next record on the way back says that this one was taken.
        func receive(_ bytes: UnsafeMutableRawBufferPointer) throws {
            while try !target.record.pointee.receive(into: bytes) { cs_cpu_relax() }
        }

        /// One way nothing comes back.
        func consume(count: Int) throws -> UInt64 {
            let own = PrivateBytes(message)
            for number in 0..<count {
                try receive(own.bytes)
                target.record.pointee.acknowledge()
                if own.bytes.load(as: UInt64.self) != UInt64(number) { return 1 }
            }
            return 0
        }
    }
}

/// One process has it: the other one's copy stays as it was when it was forked.
private final class LineEnd {
    /// By a pointer: each access to a class's own variable would be looked at for being alone, in calls of the runtime.
    let record: UnsafeMutablePointer<LineRecord> = .allocate(capacity: 1)
    private let area: SharedArea

    init(own: UnsafeMutableRawPointer, peer: UnsafeMutableRawPointer, _ area: SharedArea) {
        record.initialize(to: LineRecord(own: own, peer: peer, copy: .block))
        self.area = area
    }

    deinit {
        record.deinitialize(count: 1)
        record.deallocate()
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Something that carries messages from one process to another.
protocol Carrier: AnyObject {
    var name: String { get }
    /// How many messages it is given in one operation; 1 is one at a time.
    var batch: Int { get }
    /// Whether who waits sleeps in the kernel; it is given less to do then.
    var sleeps: Bool { get }
    /// A new, empty one, before the processes are forked.
    /// - Parameter message: bytes in each message.
    /// - Returns: nil where it takes no messages of that size.
    /// - Throws: ``BenchError``.
    func open(message: Int) throws -> CarrierChannel?
    /// One each way between two programs.
    func openBoth(message: Int) throws -> (there: CarrierChannel, back: CarrierChannel)?
}

extension Carrier {
    var batch: Int { 1 }
    var sleeps: Bool { false }

    func openBoth(message: Int) throws -> (there: CarrierChannel, back: CarrierChannel)? {
        guard let there = try open(message: message), let back = try open(message: message) else { return nil }
        return (there, back)
    }

    /// - Throws: ``BenchError``, also where it takes no messages of that size.
    func opened(_ message: Int) throws -> CarrierChannel {
        guard let channel = try open(message: message) else { throw closed(message) }
        return channel
    }

    func bothOpened(_ message: Int) throws -> (there: CarrierChannel, back: CarrierChannel) {
        guard let both = try openBoth(message: message) else { throw closed(message) }
        return both
    }

    private func closed(_ message: Int) -> BenchError {
        BenchError(
            tried: "open \(name)", happened: "it takes no messages of \(message) bytes", remedy: "leave it out (--only)"
        )
    }
}

/// One direction. The producing process calls `produce` or `send`, the other one `consume` or `receive`.
protocol CarrierChannel {
    /// Bytes in each message.
    var message: Int { get }
    /// Messages that begin with their number, from 0, as 8 bytes.
    func produce(count: Int) throws
    /// - Returns: 0, or how many had another number; may return at the first of them: when one was lost, the last will
    ///   never come.
    func consume(count: Int) throws -> UInt64
    /// One message; waits for room.
    func send(_ message: UnsafeRawBufferPointer) throws
    /// One message; waits for it.
    func receive(_ message: UnsafeMutableRawBufferPointer) throws
}

/// The loops of those that have none of their own; peers/loops.hpp has the same.
extension CarrierChannel {
    func produce(count: Int) throws {
        let own = PrivateBytes(message)
        for number in 0..<count {
            own.bytes.storeBytes(of: UInt64(number), as: UInt64.self)
            try send(UnsafeRawBufferPointer(own.bytes))
        }
    }

    func consume(count: Int) throws -> UInt64 {
        let own = PrivateBytes(message)
        for number in 0..<count {
            try receive(own.bytes)
            if own.bytes.load(as: UInt64.self) != UInt64(number) { return 1 }
        }
        return 0
    }

    /// - Throws: ``BenchError`` where a message was not the one that was sent.
    func mustConsume(count: Int) throws {
        guard try consume(count: count) == 0 else {
            throw BenchError(
                tried: "read what was sent", happened: "messages were not those that were sent",
                remedy: "the ring, or the queue, is broken")
        }
    }
}

/// Memory of one process, aligned to a cache line.
struct PrivateBytes: ~Copyable {
    let bytes: UnsafeMutableRawBufferPointer
    init(_ count: Int) {
        bytes = .allocate(byteCount: count, alignment: 64)
        _ = bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }
    deinit { bytes.deallocate() }
}

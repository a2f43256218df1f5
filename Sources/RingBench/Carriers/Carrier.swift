// SPDX-License-Identifier: Apache-2.0

/// Something that carries messages from one process to another.
protocol Carrier: AnyObject {
    var name: String { get }
    /// How many messages it is given in one operation; 1 is one at a time.
    var batch: Int { get }
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

    func openBoth(message: Int) throws -> (there: CarrierChannel, back: CarrierChannel)? {
        guard let there = try open(message: message), let back = try open(message: message) else { return nil }
        return (there, back)
    }
}

/// One direction. The producing process calls `produce` or `send`, the other one `consume` or `receive`.
protocol CarrierChannel {
    /// Messages that begin with their number, from 0, as 8 bytes.
    func produce(count: Int) throws
    /// - Returns: how many had another number.
    func consume(count: Int) throws -> UInt64
    /// One message; waits for room.
    func send(_ message: UnsafeRawBufferPointer) throws
    /// One message; waits for it.
    func receive(_ message: UnsafeMutableRawBufferPointer) throws
}

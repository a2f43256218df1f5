// SPDX-License-Identifier: Apache-2.0

/// Withdrawals that wait at the exporter.
///
/// `stub_recv_cmd_unlink` of Linux (6.1, and before) finds the request under a lock, lets go of the lock, and then
/// withdraws the URB, which `stub_complete` frees if the request ends in that instant: the kernel goes on with memory
/// that is free. About one withdrawal in three thousand meets that while data move. So a withdrawal is held until its
/// request has an answer, and answered by the guard then; only those of requests that stay unanswered go on, when the
/// caller says so, and it says so at a moment that nobody can foresee.
///
/// One that comes too late is not passed on either: `usbip-host` queues its answer, and wakes nobody to send it.
extension Guard {
    /// Withdrawals that go on together. A network adapter's driver withdraws 60 at once.
    static let releasedAtOnce = 8

    /// Some withdrawal is held: `releaseWithdrawals` is to be called at a moment drawn at random.
    public var isHolding: Bool { outstanding.held > 0 }

    /// Some of those that are held go on, answered or not.
    public func releaseWithdrawals() { outstanding.release(Self.releasedAtOnce) }

    /// The guard has an answer of its own for the importer.
    public var hasAnswer: Bool { outstanding.answered > 0 && reply.isComplete && violation == nil }

    /// Writes the next PDU of the guard's own: inward a withdrawal that is due, outward the answer of one.
    /// - Parameter place: `PDUHeader.size` bytes, which go on in front of those that have not been judged.
    /// - Returns: whether there was one that may go on.
    public func insert(_ direction: GuardDirection, _ place: UnsafeMutableRawBufferPointer) -> Bool {
        let isCommand = direction == .inward
        guard isCommand ? command.isComplete : reply.isComplete, violation == nil,
            let unlink = outstanding.take(isCommand ? .dueUnlink : .answeredUnlink)
        else { return false }
        for i in 0..<(PDUHeader.size / 4) { place.setWord(i, 0) }
        place.setWord(0, isCommand ? PDUCommand.cmdUnlink.rawValue : PDUCommand.retUnlink.rawValue)
        place.setWord(1, unlink.seqnum)
        guard isCommand else { return true }
        place.setWord(2, devid)
        place.setWord(5, unlink.argument)
        guard doubt.isHeader(place, PDUHeader.size, devid) else { return true }
        _ = refuse(.framingUnclear, doubt.command)
        return false
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Withdrawals that wait at the exporter.
///
/// `stub_recv_cmd_unlink` of Linux (6.1, and before) finds the request under a lock, lets go of the lock, and then
/// withdraws the URB, which `stub_complete` frees if the request ends in that instant: the kernel goes on with memory
/// that is free. About one withdrawal in three thousand meets that while data move. So a withdrawal is held until its
/// request has an answer, and answered by the guard then. Only those of requests to endpoints that have been silent for
/// a while go on, at a moment that nobody but the caller knows before.
///
/// One that comes too late is not passed on either: `usbip-host` queues its answer, and wakes nobody to send it. Nor is
/// it answered at once: `vhci_tx_loop` may send a withdrawal before its request.
extension Guard {
    /// Withdrawals that go on together. A network adapter's driver withdraws 60 at once.
    static let releasedAtOnce = 8

    /// Microseconds: what makes the exporter's kernel read no further it gives up after 5 s (USB_CTRL_SET_TIMEOUT).
    static let longestStop: UInt64 = 6_000_000

    /// Some withdrawal is held: `releaseWithdrawals` is to be called at moments drawn at random.
    public var isHolding: Bool { outstanding.held > 0 }

    /// Lets some of those that are held go on, if they go on at once: what has not, when the caller has moved all that
    /// it can, is to be recalled, or whoever keeps it from going on would choose the moment.
    /// - Parameters:
    ///   - isClear: all has been moved both ways; the exporter's kernel has read it, and has nothing to say.
    ///   - now: microseconds.
    public func releaseWithdrawals(isClear: Bool, now: UInt64) {
        let isStopped = outstanding.isStopped
        // Between two moments of one time of holding there is less than a second.
        if !isStopped || now &- lastMoment > 1_000_000 { stoppedSince = now }
        lastMoment = now
        if isClear, command.isComplete, reply.isComplete, !isStopped || now &- stoppedSince > Self.longestStop {
            outstanding.release(heard: heard)
        }
        releasable = Self.releasedAtOnce
        heard = 0
    }

    /// Behind `releaseWithdrawals`, when what may go on has gone on. Now the importer may know of the moment: what was
    /// withdrawn too late is answered.
    public func recallWithdrawals() {
        outstanding.recall()
        outstanding.answerLateWithdrawals()
    }

    /// The guard has an answer of its own for the importer.
    public var hasAnswer: Bool { outstanding.answered > 0 && reply.isComplete && violation == nil }

    /// Writes the next PDU of the guard's own: inward a withdrawal that is due, outward the answer of one.
    /// - Parameter place: `PDUHeader.size` bytes, which go on in front of those that have not been judged.
    /// - Returns: whether there was one that may go on.
    public func insert(_ direction: GuardDirection, _ place: UnsafeMutableRawBufferPointer) -> Bool {
        let isCommand = direction == .inward
        guard isCommand ? command.isComplete && releasable > 0 : reply.isComplete, violation == nil,
            let unlink = outstanding.take(isCommand ? .dueUnlink : .answeredUnlink, last: commandSeqnum)
        else { return false }
        for i in 0..<(PDUHeader.size / 4) { place.setWord(i, 0) }
        place.setWord(0, isCommand ? PDUCommand.cmdUnlink.rawValue : PDUCommand.retUnlink.rawValue)
        place.setWord(1, unlink.seqnum)
        guard isCommand else { return true }
        releasable &-= 1
        place.setWord(2, devid)
        place.setWord(3, UInt32(unlink.slot >> 4))
        place.setWord(4, UInt32(unlink.slot & 15))
        place.setWord(5, unlink.argument)
        guard doubt.isHeader(place, PDUHeader.size, devid) else { return true }
        _ = refuse(.framingUnclear, doubt.command)
        return false
    }
}

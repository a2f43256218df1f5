// SPDX-License-Identifier: Apache-2.0

/// The stream from the exporter to the importer. Its headers name neither device nor endpoint nor direction (other
/// implementations than the kernel repeat the request's; nobody reads them): all of that follows from the request.
extension Guard {
    func judgeReply(_ bytes: UnsafeMutableRawBufferPointer) -> GuardVerdict {
        if reply.payload > 0 { return judgePayload(&reply, bytes) }
        if reply.descriptors > 0 { return judgeDescriptors(&reply, bytes) }
        guard bytes.count >= PDUHeader.size else { return .more }
        let kind = bytes.word(0)
        let isUnlink = kind == PDUCommand.retUnlink.rawValue
        guard isUnlink || kind == PDUCommand.retSubmit.rawValue else { return refuse(.wrongKind, kind) }
        let seqnum = bytes.word(1)
        // Nor does one answer a request whose data is still under way: the exporter's kernel has not got it whole, and
        // the importer's is still sending from memory that the answer would free.
        guard let index = outstanding.find(seqnum), outstanding[index].kind == (isUnlink ? .unlink : .request),
            command.isComplete || seqnum != commandSeqnum
        else {
            return refuse(.answersNothing, seqnum)
        }
        let entry = outstanding[index]
        let status = bytes.word(5)
        guard isStatus(status) else { return refuse(.badStatus, status) }
        outstanding.answerWithdrawals(of: seqnum)
        reply = GuardBody()
        if isUnlink {
            outstanding.remove(index)
            unlinked(entry.argument, status)
            return .pass(PDUHeader.size)
        }
        if let refusal = judgeReturn(bytes, entry) { return refusal }
        if !entry.isGivenUp { leave(entry) }
        // Of control, either direction is the same.
        heard |= entry.slot & 15 == 0 ? 0x1_0001 : 1 << UInt32(entry.slot)
        outstanding.remove(index)
        take(entry, status)
        return reply.verdict(PDUHeader.size)
    }

    /// 0 or an error number of Linux, but for EINPROGRESS (115): an URB with that is not at its end.
    private func isStatus(_ status: UInt32) -> Bool {
        let number = 0 &- status
        return number <= 133 && number != 115
    }

    /// RET_UNLINK. With an error, the request was withdrawn and no RET_SUBMIT comes for it. With 0, the exporter's
    /// kernel had it no more: its RET_SUBMIT has come, or is still on its way (`stub_tx_loop` looks at the two queues
    /// one behind the other), or never comes. `vhci_hcd` has given it up, and a RET_SUBMIT would end the connection.
    private func unlinked(_ target: UInt32, _ status: UInt32) {
        guard let index = outstanding.find(target), !outstanding[index].isUnlink else { return }
        let entry = outstanding[index]
        if status != 0 {
            outstanding.remove(index)
            outstanding.answerWithdrawals(of: target)
        } else if !entry.isGivenUp {
            leave(entry)
            outstanding.giveUp(index)
        }
        // It may have set something before it was withdrawn: `usbip-host` does that while it receives the request. The
        // importer's kernel goes by its withdrawal, whatever comes later, and others wait for no answer any more.
        set(entry, isDone: false)
    }

    /// A request that is at its end, with memory that is not free yet.
    private func leave(_ entry: Outstanding) { if isExporter { unsettled &+= Int(entry.memory) } }

    /// A request that sets a configuration or an interface is at its end.
    private func set(_ entry: Outstanding, isDone: Bool) {
        switch entry.effect {
        case .setsConfiguration: endpoints.set(configuration: entry.argument, isDone: isDone)
        case .setsInterface:
            endpoints.set(interface: entry.argument >> 16, setting: entry.argument & 0xFFFF, isDone: isDone)
        default: return
        }
        settingsUnderWay &-= 1
        // What was asked before says nothing of the endpoints as they are now.
        doubt.forget()
        outstanding.age()
    }

    /// RET_SUBMIT: sets what follows it.
    private func judgeReturn(_ bytes: UnsafeMutableRawBufferPointer, _ entry: Outstanding) -> GuardVerdict? {
        let length = bytes.word(6)
        guard length <= entry.length else { return refuse(.longerThanAsked, length) }
        let packets = Int32(bitPattern: bytes.word(8))
        let isAsked = packets == Int32(entry.packets)
        guard isAsked || !entry.isIsochronous && (packets == 0 || packets == -1) else {
            return refuse(.otherPacketCount, bytes.word(8))
        }
        reply.payload = entry.isIn ? Int(length) : 0
        reply.descriptors = entry.isIsochronous ? Int(packets) : 0
        reply.isDropped = entry.isGivenUp
        reply.transfer = entry.length
        reply.left = Int64(length)
        return nil
    }

    /// What an answer changes.
    private func take(_ entry: Outstanding, _ status: UInt32) {
        switch entry.effect {
        case .none, .blocks: if !entry.isOld { doubt.prove(entry.slot) }
        case .readsDescriptor:
            guard status == 0, reply.payload > 0, !reply.isDropped else { break }
            reply.isDescriptor = true
            reply.asked = entry.length
            endpoints.beginReading(entry.argument)
        default: set(entry, isDone: status == 0)
        }
    }
}

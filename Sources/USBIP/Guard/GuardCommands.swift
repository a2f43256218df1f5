// SPDX-License-Identifier: Apache-2.0

/// USBIP_URB_* of include/uapi/linux/usbip.h, as far as they may cross.
private enum Flag {
    static let shortNotOK: UInt32 = 0x0001
    static let isoAsSoonAsPossible: UInt32 = 0x0002
    static let zeroPacket: UInt32 = 0x0040
    static let noInterrupt: UInt32 = 0x0080
    static let directionIn: UInt32 = 0x0200
    static let scatterGather: UInt32 = 0x0004_0000
}

/// The stream from the importer to the exporter.
extension Guard {
    func judgeCommand(_ bytes: UnsafeMutableRawBufferPointer) -> GuardVerdict {
        if command.payload > 0 { return judgePayload(&command, bytes) }
        if command.descriptors > 0 { return judgeDescriptors(&command, bytes) }
        guard bytes.count >= PDUHeader.size else { return .more }
        guard bytes.word(2) == devid else { return refuse(.otherDevice, bytes.word(2)) }
        let kind = bytes.word(0)
        guard kind == PDUCommand.cmdSubmit.rawValue || kind == PDUCommand.cmdUnlink.rawValue else {
            return refuse(.wrongKind, kind)
        }
        var entry = Outstanding(seqnum: bytes.word(1))
        guard outstanding.find(entry.seqnum) == nil else { return refuse(.seqnumInUse, entry.seqnum) }
        if kind == PDUCommand.cmdUnlink.rawValue {
            // Its target may be answered already, or not be sent yet: the kernels' threads overtake one another.
            entry.argument = bytes.word(5)
            // Nobody reads these, and some repeat them.
            entry.slot = UInt8(truncatingIfNeeded: (bytes.word(3) & 1) << 4 | bytes.word(4) & 15)
            entry.kind = limits.holdsWithdrawals ? .heldUnlink : .unlink
        } else if let verdict = judgeSubmit(bytes, &entry) {
            return verdict
        }
        guard outstanding.insert(entry) else { return refuse(.tooManyOutstanding, UInt32(limits.outstanding)) }
        commandSeqnum = entry.seqnum
        isUnanswered = true
        if entry.isUnlink { isUnlinkUnanswered = true } else { requests &+= 1 }
        if entry.effect.sets { settingsUnderWay &+= 1 }
        return entry.isUnlink && limits.holdsWithdrawals ? .drop(PDUHeader.size) : .pass(PDUHeader.size)
    }

    /// - Returns: nil when the request may pass; `entry` and `command` say then what follows.
    private func judgeSubmit(_ bytes: UnsafeMutableRawBufferPointer, _ entry: inout Outstanding) -> GuardVerdict? {
        let direction = bytes.word(3)
        guard direction <= 1 else { return refuse(.badDirection, direction) }
        let endpoint = bytes.word(4)
        // The kernel used to take the number for an index as it came.
        guard endpoint <= PDUHeader.endpointLimit else { return refuse(.noEndpoint, endpoint) }
        // The exporter's kernel reads no further while it sets an interface or configuration either, and what it
        // has then decides how the rest is framed.
        if endpoint != 0, settingsUnderWay > 0 { return .wait }
        entry.slot = UInt8(truncatingIfNeeded: direction << 4 | endpoint)
        let type = endpoints[entry.slot]
        guard type != .none else { return refuse(.noEndpoint, endpoint) }
        entry.length = bytes.word(6)
        let flags = bytes.word(5)
        let isScattered = flags & Flag.scatterGather != 0
        let limit = isScattered ? limits.transferBytes : min(limits.transferBytes, limits.contiguousBytes)
        guard entry.length <= UInt32(limit) else { return refuse(.badLength, entry.length) }
        let packets = Int32(bitPattern: bytes.word(8))
        entry.isIsochronous = type == .isochronous
        guard packets >= (entry.isIsochronous ? 0 : -1), packets <= Int32(PDUFraming.packetLimit) else {
            return refuse(.badPacketCount, bytes.word(8))
        }
        entry.packets = Int16(packets)
        if type == .control {
            if let refusal = judgeSetup(bytes, &entry) { return refusal }
        } else {
            // Of an endpoint that is one of control to the kernel, it would be a request. Linux leaves in it what the
            // URB was before.
            bytes.setWord(10, 0)
            bytes.setWord(11, 0)
        }
        // Of an endpoint that is isochronous to the kernel, what follows would be descriptors; of no packets none are.
        // For -1 it would leave even the payload unread.
        if !entry.isIsochronous { bytes.setWord(8, 0) }
        if isScattered, type == .control || type == .isochronous || entry.length == 0 {
            return refuse(.scatterGather, flags)
        }
        entry.memory = Self.memory(entry, isScattered: isScattered)
        let taken = outstanding.memory &+ Int(entry.memory)
        guard taken <= limits.openBytes else { return refuse(.tooManyBytes, UInt32(truncatingIfNeeded: taken)) }
        // Its kernel gets to send what it has, and frees that, before it is asked for more.
        guard taken &+ unsettled <= limits.openBytes else { return .wait }
        bytes.setWord(5, flags & allowedFlags(type, isIn: entry.isIn))
        command = GuardBody()
        command.payload = entry.isIn ? 0 : Int(entry.length)
        command.descriptors = entry.isIsochronous ? Int(packets) : 0
        command.transfer = entry.length
        if isExporter, endpoint != 0, !command.isComplete { doubt.begin(entry.slot) }
        return nil
    }

    /// What a request takes of the exporter's memory: its buffer, in pages with a list of them or in one piece of a
    /// power of two, and at most so much for the URB and each of its packets with `usbip-host` and the host
    /// controller's driver (`xhci_hcd` takes most).
    private static func memory(_ entry: Outstanding, isScattered: Bool) -> UInt32 {
        var buffer = entry.length
        if isScattered {
            buffer = (buffer &+ 4095) >> 12 &* (4096 + 32)
        } else if buffer > 1 {
            buffer = 2 &<< UInt32(31 &- (buffer &- 1).leadingZeroBitCount)
        }
        return buffer &+ 1024 &+ (entry.packets > 0 ? UInt32(entry.packets) &* 192 : 0)
    }

    /// The flags that a type of endpoint knows. The others are taken away: they say how the importer's kernel holds a
    /// buffer that the exporter's kernel does not have (NO_TRANSFER_DMA_MAP would make it use address 0,
    /// ALIGNED_TEMP_BUFFER free what it did not allocate), and importers leave some of them set.
    ///
    /// DMA_MAP_SG stays with bulk and interrupt transfers, where a large one needs it. With others no kernel sets it,
    /// and `usbip-host` would write descriptors into an URB that has no room for them, or find no setup packet.
    private func allowedFlags(_ type: EndpointType, isIn: Bool) -> UInt32 {
        let always = Flag.noInterrupt | Flag.directionIn
        switch type {
        case .isochronous: return always | Flag.isoAsSoonAsPossible
        case .control: return always | (isIn ? Flag.shortNotOK : 0)
        default: return always | Flag.scatterGather | (isIn ? Flag.shortNotOK : Flag.zeroPacket)
        }
    }

    /// A control request says in its own words which way how much goes, and the kernel warns, which can be set to
    /// mean panic, where the header says another direction.
    private func judgeSetup(_ bytes: UnsafeMutableRawBufferPointer, _ entry: inout Outstanding) -> GuardVerdict? {
        let length = UInt32(bytes[46]) | UInt32(bytes[47]) << 8
        guard length == entry.length else { return refuse(.setupLength, entry.length) }
        let isIn = bytes[40] & 0x80 != 0 && length > 0
        if isIn != entry.isIn {
            guard length == 0 else { return refuse(.setupDirection, length) }
            // Nothing moves either way, and some importers say "in" then: it becomes what the kernel expects.
            bytes.setWord(3, TransferDirection.out.rawValue)
            entry.slot &= 15
        }
        let value = UInt32(bytes[42]) | UInt32(bytes[43]) << 8
        let index = UInt32(bytes[44]) | UInt32(bytes[45]) << 8
        let request = bytes[41]
        if isForHostOnly(bytes[40], request, value) { return refuse(.hostOnly, UInt32(request)) }
        switch (bytes[40], request) {
        // The device's own descriptor, or one of its configurations.
        case (0x80, 6) where 1...2 ~= value >> 8 && length > 0:
            entry.effect = .readsDescriptor
            entry.argument = value
        case (0x00, 9):
            entry.effect = .setsConfiguration
            entry.argument = value
        case (0x01, 11):
            entry.effect = .setsInterface
            entry.argument = index << 16 | value
        // PORT_RESET, and CLEAR_FEATURE(ENDPOINT_HALT).
        case (0x23, 3) where value == 4, (0x02, 1) where value == 0: entry.effect = .blocks
        default: break
        }
        // The exporter's kernel sets it whatever the length is; the device refuses one that has any, and would be
        // believed.
        if entry.effect.sets, length > 0 { return refuse(.setupLength, length) }
        return judgePolicy(bytes[40], entry)
    }

    /// SET_ADDRESS, SET_DESCRIPTOR, and of SET_FEATURE the test modes. With the address of another device of the
    /// exporter's this one would hear what is said to that, and answer for it. Many devices look at neither direction
    /// nor recipient; SET_DESCRIPTOR to an interface is HID's.
    private func isForHostOnly(_ requestType: UInt8, _ request: UInt8, _ value: UInt32) -> Bool {
        // Of the specification, not of a class or vendor.
        guard requestType & 0x60 == 0 else { return false }
        let isForDevice = requestType & 0x1F == 0
        return request == 5 || request == 7 && requestType & 0x1F != 1 || request == 3 && value == 2 && isForDevice
    }

    /// Under a policy a device gets what belongs to the USB specification alone, until a configuration is set that the
    /// policy has seen: an importer that reads none would speak to interfaces that nobody has looked at.
    private func judgePolicy(_ requestType: UInt8, _ entry: Outstanding) -> GuardVerdict? {
        guard endpoints.interfaces != nil else { return nil }
        if entry.effect == .setsConfiguration {
            return entry.argument == 0 || endpoints.isKnown(entry.argument) ? nil : refuse(.notRead, entry.argument)
        }
        // Bits 5 and 6: the request is of the specification, a class, or a vendor. A vendor's may come first, since
        // drivers choose a configuration by what the chip says (r8152), but not before any was read.
        let kind = requestType & 0x60
        if endpoints.isSet || kind == 0x40 && endpoints.isAnyKnown { return nil }
        guard kind != 0 || entry.effect == .setsInterface else { return nil }
        return refuse(.notRead, 0)
    }
}

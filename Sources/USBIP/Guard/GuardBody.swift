// SPDX-License-Identifier: Apache-2.0

/// What is still to come of one PDU behind its header.
struct GuardBody {
    /// Bytes of payload.
    var payload = 0
    /// Isochronous packet descriptors.
    var descriptors = 0
    /// The payload is a descriptor of which so many bytes were asked for: it is read before it goes on.
    var isDescriptor = false
    var asked: UInt32 = 0
    /// The importer's kernel waits for this reply no longer.
    var isDropped = false
    /// Bytes of the transfer; no packet may lie outside.
    var transfer: UInt32 = 0
    /// Bytes of packets that the descriptors must still account for.
    var left: Int64 = 0

    var isComplete: Bool { payload == 0 && descriptors == 0 }

    func verdict(_ count: Int) -> GuardVerdict { isDropped ? .drop(count) : .pass(count) }
}

extension UnsafeMutableRawBufferPointer {
    /// The PDU's word of this index.
    @inline(__always)
    func word(_ index: Int) -> UInt32 {
        UInt32(bigEndian: baseAddress.unsafelyUnwrapped.loadUnaligned(fromByteOffset: index &* 4, as: UInt32.self))
    }

    @inline(__always)
    func setWord(_ index: Int, _ value: UInt32) {
        baseAddress.unsafelyUnwrapped.storeBytes(of: value.bigEndian, toByteOffset: index &* 4, as: UInt32.self)
    }
}

extension Guard {
    /// The next of a body's payload.
    func judgePayload(_ body: inout GuardBody, _ bytes: UnsafeMutableRawBufferPointer) -> GuardVerdict {
        let count = min(body.payload, bytes.count)
        body.payload &-= count
        if body.isDescriptor {
            endpoints.read(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[0..<count]))
            if body.payload == 0 {
                body.isDescriptor = false
                if let wrong = endpoints.finishReading(asked: body.asked) { return refuse(wrong, endpoints.wrong) }
            }
        }
        return body.verdict(count)
    }

    /// The next of a body's descriptors; as many as there are.
    @inline(never)
    func judgeDescriptors(_ body: inout GuardBody, _ bytes: UnsafeMutableRawBufferPointer) -> GuardVerdict {
        let count = min(body.descriptors, bytes.count / IsoPacketDescriptor.size)
        guard count > 0 else { return .more }
        for i in 0..<count {
            let offset = bytes.word(i &* 4)
            let length = bytes.word(i &* 4 &+ 1)
            let actual = bytes.word(i &* 4 &+ 2)
            // `usbip_pad_iso` moves as many bytes as the packet had to where it says that it begins.
            guard UInt64(offset) &+ UInt64(length) <= UInt64(body.transfer), actual <= length else {
                return refuse(.packetOutside, offset)
            }
            body.left &-= Int64(actual)
        }
        body.descriptors &-= count
        // `usbip_recv_iso` gives the connection up otherwise, also of a command, whose packets have moved nothing yet.
        if body.descriptors == 0, body.left != 0 {
            return refuse(.packetTotal, UInt32(truncatingIfNeeded: body.left))
        }
        return body.verdict(count &* IsoPacketDescriptor.size)
    }
}

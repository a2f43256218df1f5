// SPDX-License-Identifier: Apache-2.0

/// What a guard refuses.
public enum GuardViolation: UInt8, CaseIterable, Sendable {
    case operation, tooEarly, notAsked, tooLate, wrongKind, otherDevice, badDirection, noEndpoint, seqnumInUse,
        tooManyOutstanding, badLength, badPacketCount, setupLength, setupDirection, scatterGather, packetOutside,
        packetTotal, answersNothing, badStatus, longerThanAsked, otherPacketCount, configurationChanged,
        configurationTooLarge, framingUnclear, identityChanged, denied, notRead, tooManyBytes, hostOnly

    /// One line a case, in their order. (A table is a fraction of a `switch`'s code.)
    private static let lines: StaticString = """
        the operation is none of USB/IP's
        bytes came before the import was answered
        an answer came, and nothing was asked
        bytes came behind a refused import
        a message came that does not go this way; its command is
        a request is for another device than the imported one; its devid is
        a direction is neither in nor out; it is
        a request is for an endpoint that the device has not, or of which no configuration was read; it is
        a request has the number of one that is not answered yet; it is
        more requests wait for an answer than are allowed, which are
        a transfer is longer than allowed; its bytes are
        isochronous packets are more than 1024, or fewer than none; they are
        a control request and its header disagree about the length, which is here
        a control request and its header disagree about the direction; the length is
        a control or isochronous request, or an empty one, has the flag of a scattered buffer; the flags are
        an isochronous packet lies outside of its transfer; it begins at
        isochronous packets do not add up to what their transfer moved; they are off by
        an answer has the number of no request that waits for one; it is
        a status is none that a kernel sends; it is
        a transfer moved more than was asked for; its bytes are
        an answer has another number of isochronous packets than its request; it is
        a configuration differs from what the device said of it before; its number is
        configurations have more endpoints than can be kept, which are
        a request cannot be told from the data before it on an endpoint that has answered nothing yet; it is
        a device is another one than was announced; its product is
        the policy does not allow the device, or an interface that it shows, by its line
        under a policy, a request came before the configuration that it needs was read and set; its value, or 0, is
        more bytes wait for an answer than are allowed, which would be
        a control request is for the host of the device alone; it is
        """

    /// What came, in words; a number belongs behind it.
    public var text: String {
        @inline(never) get {
            var line: UInt8 = 0
            var found: [UInt8] = []
            for i in 0..<Self.lines.utf8CodeUnitCount {
                let byte = Self.lines.utf8Start[i]
                if byte == 0x0A { line += 1 } else if line == rawValue { found.append(byte) }
            }
            return USBIP.text(of: found)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Stands between a peer and the local kernel's USB/IP driver on one connection: takes both streams apart as the two
/// kernels will, and lets pass what the protocol allows at that point.
///
/// The kernel's framing is that of drivers/usb/usbip of Linux 6.1: `stub_rx.c` for commands, `vhci_rx.c` for replies,
/// `usbip_common.c` for what follows a header. A guard that frames otherwise could be smuggled past, so what the
/// kernel would leave unread, or could take two ways, is refused.
///
/// It does no I/O and sees private copies only. The caller asks about bytes in their order, each direction for itself,
/// and does what the verdict says; the payload that nobody has to look at (`unread`) it need not show:
///
///     while true {
///         switch guard.judge(.inward, bytes) {
///         case .pass(let count): send(bytes.prefix(count)), and ask about the rest
///         …
///         }
///     }
///
/// In the URB phase it allocates nothing, but for a configuration that passes. It holds 24 bytes for each command
/// without an answer.
public final class Guard {
    enum Phase: UInt8 {
        case request, deviceList, importReply, requests, refused
    }

    let isExporter: Bool
    public var isImporter: Bool { !isExporter }
    let limits: GuardLimits
    var phase = Phase.request
    private var list = DeviceListDecoder()
    private var wanted: BusID?
    /// Of the imported device.
    var devid: UInt32 = 0
    /// The body under way, of each stream.
    var command = GuardBody()
    /// Of the last command.
    var commandSeqnum: UInt32 = 0
    var reply = GuardBody()
    var outstanding: OutstandingTable
    var endpoints = EndpointTable()
    /// SET_CONFIGURATIONs and SET_INTERFACEs without an answer: until it comes, nobody knows what endpoints there are.
    var settingsUnderWay = 0
    var doubt = FramingDoubt()
    /// Endpoints that have answered since the last `releaseWithdrawals`, as bits of their slots.
    var heard: UInt32 = 0
    /// How many withdrawals may still go on at this moment.
    var releasable = 0
    /// Since when the exporter's kernel may be reading no further, and when withdrawals were last let go, in
    /// microseconds.
    var stoppedSince: UInt64 = 0
    var lastMoment: UInt64 = 0

    /// What was refused, once something was.
    public private(set) var violation: GuardViolation?
    private var operationError: USBIPError?
    private var number = 0
    /// CMD_SUBMITs that passed.
    public internal(set) var requests: UInt64 = 0
    /// A command passed, and nothing has come back since.
    public internal(set) var isUnanswered = false
    /// A CMD_UNLINK passed, and nothing has come back since. The exporter answers it soon, and until it does,
    /// `vhci_hcd` blocks its hub's worker and with it every port of that controller: so that peer is gone.
    public internal(set) var isUnlinkUnanswered = false
    /// Another number than before: something has come back.
    public internal(set) var answers: UInt32 = 0
    /// CMD_UNLINKs without their RET_UNLINK, whatever else has come back.
    public var openUnlinks: Int { outstanding.unlinks }
    /// Another number than before: each of the CMD_UNLINKs that were open then has been answered.
    public var unlinkWatch: UInt32 { outstanding.watch }
    /// Bytes of memory that the exporter's kernel may still hold for requests that it has answered: it frees them when
    /// it has sent every answer that there is (`stub_send_ret_submit`), and an importer that reads slowly keeps it
    /// from that.
    public internal(set) var unsettled = 0

    public init(_ role: GuardRole, limits: GuardLimits = GuardLimits()) {
        isExporter = role == .exporter
        self.limits = limits
        outstanding = OutstandingTable(capacity: limits.outstanding)
    }

    deinit { outstanding.deallocate() }

    /// What was refused, in words: printable ASCII. Empty while nothing was.
    public var sentence: String {
        @inline(never) get {
            if let operationError { return operationError.sentence }
            guard let violation else { return "" }
            return violation.rawValue <= GuardViolation.tooLate.rawValue
                ? violation.text : fill("% %", violation.text, decimal(number))
        }
    }

    /// How many of the next bytes are payload that the guard need not see.
    public func unread(_ direction: GuardDirection) -> Int {
        let body = isCommands(direction) ? command : reply
        let isLookedAt = body.isDescriptor || body.isDropped || isCommands(direction) && doubt.isOpen
        return isLookedAt ? 0 : body.payload
    }

    /// So many of the bytes that need not be seen went on.
    public func passed(_ direction: GuardDirection, _ count: Int) {
        if isCommands(direction) {
            command.payload &-= count
        } else {
            reply.payload &-= count
            hear()
        }
    }

    private func hear() {
        (isUnanswered, isUnlinkUnanswered) = (false, false)
        answers &+= 1
    }

    /// The exporter's kernel has sent all that it has to send for now.
    public func settle() { if reply.isComplete { unsettled = 0 } }

    /// Judges the next bytes of a direction: what a verdict lets pass or drops is not to be shown again, the rest is.
    /// - Parameter bytes: a private copy, in which the guard may change what it lets pass. 320 bytes at a time are
    ///   enough for it to come to a verdict other than `more`.
    @inline(never)
    public func judge(_ direction: GuardDirection, _ bytes: UnsafeMutableRawBufferPointer) -> GuardVerdict {
        if let violation { return .refuse(violation) }
        if bytes.count == 0 { return .more }
        let isCommand = isCommands(direction)
        guard phase == .requests else { return judgeOperation(isCommand, UnsafeRawBufferPointer(bytes)) }
        if isCommand {
            let verdict = judgeCommand(bytes)
            guard case .pass(let count) = verdict, doubt.isHeader(bytes, count, devid) else { return verdict }
            // Of what is refused the bytes here may be the last one only.
            return refuse(.framingUnclear, doubt.command)
        }
        let verdict = judgeReply(bytes)
        // A part of a header is no answer.
        switch verdict {
        case .pass, .drop: hear()
        default: break
        }
        return verdict
    }

    private func isCommands(_ direction: GuardDirection) -> Bool { (direction == .inward) == isExporter }

    @inline(never)
    func refuse(_ violation: GuardViolation, _ number: UInt32 = 0) -> GuardVerdict {
        self.violation = violation
        self.number = Int(Int32(bitPattern: number))
        return .refuse(violation)
    }

    // MARK: What comes before URBs

    private func judgeOperation(_ isCommand: Bool, _ untrustedBytes: UnsafeRawBufferPointer) -> GuardVerdict {
        do throws(USBIPError) {
            switch phase {
            case .refused: return refuse(.tooLate)
            case .request where isCommand: return try judgeRequest(untrustedBytes)
            case .request: return refuse(.notAsked)
            case _ where isCommand: return refuse(.tooEarly)
            case .deviceList:
                let count = try list.feed(untrustedBytes)
                while list.next() != nil {}
                if list.isFinished { phase = .request }
                return .pass(count)
            default: return try judgeImportReply(untrustedBytes)
            }
        } catch {
            operationError = error
            return refuse(.operation)
        }
    }

    private func judgeRequest(_ untrustedBytes: UnsafeRawBufferPointer) throws(USBIPError) -> GuardVerdict {
        var decoder = RequestDecoder()
        let count = try decoder.feed(untrustedBytes)
        switch decoder.request {
        case nil: return .more
        case .deviceList?:
            list = DeviceListDecoder()
            phase = .deviceList
        case .importDevice(let busID)?:
            wanted = busID
            phase = .importReply
        }
        return .pass(count)
    }

    /// The exporter's kernel has its socket before this reply leaves: what follows a request is for that kernel, so
    /// nothing may follow before the reply has said for which device.
    private func judgeImportReply(_ untrustedBytes: UnsafeRawBufferPointer) throws(USBIPError) -> GuardVerdict {
        var decoder = ImportReplyDecoder(expecting: wanted)
        let count = try decoder.feed(untrustedBytes)
        switch decoder.outcome {
        case nil: return .more
        case .success(let record)?:
            devid = record.devid
            endpoints.identity = UInt32(record.vendor) << 16 | UInt32(record.product)
            endpoints.interfaces = limits.interfaces?(record)
            if let line = endpoints.interfaces?.denial(nil) { return refuse(.denied, UInt32(line)) }
            phase = .requests
        case .refused?: phase = .refused
        }
        return .pass(count)
    }
}

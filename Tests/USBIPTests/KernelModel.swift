// SPDX-License-Identifier: Apache-2.0

/// The framing of the two kernels, written down once more and as plainly as can be: whole streams in memory, no state
/// machine, nothing of the guard's. What it is given is what a guard let pass.
struct KernelModel {
    /// What a kernel does that nobody may make it do.
    enum Fault: Equatable {
        /// It ends the connection, or worse.
        case dies(String)
        /// It leaves a body unread, and takes it for the next header.
        case leavesBody
        /// It took such a header for one: the command is nobody's that the guard has seen.
        case believes
    }

    enum Kind { case control, iso, other }

    struct Submitted {
        var isIn: Bool
        var isIso: Bool
        var length: Int
        var packets: Int
    }

    let devid: UInt32
    /// Endpoints by interface and setting; an address has 0x80 for "in".
    let truth: [[[UInt8: Kind]]]
    var settings: [Int]
    var isConfigured = false
    /// The next `usb_set_interface` fails, and changes nothing.
    var failsToSet = false
    /// Whether it goes on behind a body that it left unread, as the kernels do.
    var goesOn = false
    private var isAstray = false
    var submitted: [UInt32: Submitted] = [:]
    var unlinks: [UInt32: UInt32] = [:]
    /// Withdrawals that the importer's kernel has sent, and the guard before the exporter's has answered.
    var ownAnswers: [UInt32: UInt32] = [:]
    private(set) var commandEnds: [Int] = []
    private(set) var replyEnds: [Int] = []
    private(set) var fault: Fault?

    init(devid: UInt32, truth: [[[UInt8: Kind]]]) {
        self.devid = devid
        self.truth = truth
        settings = truth.map { _ in 0 }
    }

    func kind(_ address: UInt8) -> Kind? {
        if address & 0x7F == 0 { return .control }
        guard isConfigured else { return nil }
        for (interface, setting) in settings.enumerated() {
            if let kind = truth[interface][setting][address] { return kind }
        }
        return nil
    }

    private static func word(_ stream: ArraySlice<UInt8>, _ index: Int) -> Int32 {
        let start = stream.startIndex + 4 * index
        return Int32(bitPattern: stream[start..<(start + 4)].reduce(0) { $0 << 8 | UInt32($1) })
    }

    /// `stub_rx_pdu`, over all that has come so far.
    mutating func receive(commands: [UInt8]) {
        while fault == nil {
            let pdu = commands[(commandEnds.last ?? 0)...]
            guard pdu.count >= 48, let length = commandLength(pdu), pdu.count >= length else { return }
            commandEnds.append((commandEnds.last ?? 0) + length)
            if !isAstray { execute(pdu) }
        }
    }

    private mutating func commandLength(_ pdu: ArraySlice<UInt8>) -> Int? {
        func die(_ why: String) -> Int? {
            fault = .dies(why)
            return nil
        }
        func leave() -> Int? {
            isAstray = true
            if goesOn { return 48 }
            fault = .leavesBody
            return nil
        }
        guard UInt32(bitPattern: Self.word(pdu, 2)) == devid else { return die("devid") }
        let command = Self.word(pdu, 0)
        guard command == 1 || command == 2 else { return die("command") }
        if isAstray {
            fault = .believes
            return nil
        }
        if command == 2 { return 48 }
        let isIn = Self.word(pdu, 3) == 1
        let number = Self.word(pdu, 4)
        let length = Int(Self.word(pdu, 6))
        let packets = Int(Self.word(pdu, 8))
        guard number >= 0, number <= 15, let kind = kind(UInt8(number) | (isIn ? 0x80 : 0)) else {
            return leave()
        }
        if kind == .iso, packets < 0 || packets > 1024 { return leave() }
        let isScattered = Self.word(pdu, 5) & 0x40000 != 0
        guard length >= 0, length <= (isScattered ? 1 << 25 : 1 << 22) else { return die("kzalloc") }
        if isScattered, kind != .other || length == 0 { return die("scatter-gather") }
        let descriptors = kind == .iso ? packets : 0
        let total = 48 + (isIn ? 0 : length) + 16 * descriptors
        guard pdu.count >= total else { return total }
        for i in 0..<descriptors {
            let descriptor = pdu[(pdu.startIndex + total - 16 * (descriptors - i))...]
            let end = Int(Self.word(descriptor, 0)) + Int(Self.word(descriptor, 1))
            guard Self.word(descriptor, 0) >= 0, Self.word(descriptor, 1) >= 0, end <= length else {
                return die("packet outside")
            }
            guard Self.word(descriptor, 2) == 0 else { return die("total length of iso packets") }
        }
        if kind == .control {
            let setup = Array(pdu.dropFirst(40).prefix(8))
            let wanted = Int(setup[6]) | Int(setup[7]) << 8
            guard wanted == length else { return die("BOGUS control len") }
            guard (setup[0] & 0x80 != 0 && wanted > 0) == isIn else { return die("BOGUS control dir") }
        }
        return total
    }

    private mutating func execute(_ pdu: ArraySlice<UInt8>) {
        let seqnum = UInt32(bitPattern: Self.word(pdu, 1))
        if submitted[seqnum] != nil || unlinks[seqnum] != nil { fault = .dies("two of one number") }
        guard Self.word(pdu, 0) == 1 else {
            unlinks[seqnum] = UInt32(bitPattern: Self.word(pdu, 5))
            return
        }
        let isIn = Self.word(pdu, 3) == 1
        let address = UInt8(Self.word(pdu, 4)) | (isIn ? 0x80 : 0)
        submitted[seqnum] = Submitted(
            isIn: isIn, isIso: kind(address) == .iso, length: Int(Self.word(pdu, 6)), packets: Int(Self.word(pdu, 8)))
        let setup = Array(pdu.dropFirst(40).prefix(8))
        guard address & 0x7F == 0 else { return }
        // At once, before anything else is read.
        if setup[0] == 0, setup[1] == 9 {
            isConfigured = setup[2] == 1 && setup[3] == 0
            settings = truth.map { _ in 0 }
        } else if setup[0] == 1, setup[1] == 11, setup[3] == 0, setup[5] == 0, Int(setup[4]) < truth.count,
            Int(setup[2]) < truth[Int(setup[4])].count, isConfigured
        {
            if !failsToSet { settings[Int(setup[4])] = Int(setup[2]) }
            failsToSet = false
        }
    }

    /// `vhci_rx_pdu`, over all that has come so far.
    mutating func receive(replies: [UInt8]) {
        while fault == nil {
            let pdu = replies[(replyEnds.last ?? 0)...]
            guard pdu.count >= 48, let length = replyLength(pdu), pdu.count >= length else { return }
            replyEnds.append((replyEnds.last ?? 0) + length)
            let seqnum = UInt32(bitPattern: Self.word(pdu, 1))
            if Self.word(pdu, 0) == 3 {
                submitted[seqnum] = nil
            } else if let target = unlinks.removeValue(forKey: seqnum) {
                submitted[target] = nil
            } else if let target = ownAnswers[seqnum], submitted[target] != nil {
                fault = .dies("answered before its request")
            }
        }
    }

    private mutating func replyLength(_ pdu: ArraySlice<UInt8>) -> Int? {
        func die(_ why: String) -> Int? {
            fault = .dies(why)
            return nil
        }
        let command = Self.word(pdu, 0)
        let seqnum = UInt32(bitPattern: Self.word(pdu, 1))
        if command == 4 {
            let isKnown = unlinks[seqnum] != nil || ownAnswers[seqnum] != nil
            return isKnown ? 48 : die("cannot find the pending unlink")
        }
        guard command == 3 else { return die("unknown pdu") }
        guard let request = submitted[seqnum] else { return die("cannot find a urb") }
        let length = Int(Self.word(pdu, 6))
        let packets = Int(Self.word(pdu, 8))
        guard length >= 0, length <= request.length else { return die("recv xbuf") }
        if request.isIso, packets < 0 || packets > request.packets { return die("packets") }
        let descriptors = request.isIso ? packets : 0
        let total = 48 + (request.isIn ? length : 0) + 16 * descriptors
        guard pdu.count >= total else { return total }
        var sum = 0
        for i in 0..<descriptors {
            let descriptor = pdu[(pdu.startIndex + total - 16 * (descriptors - i))...]
            let end = Int(Self.word(descriptor, 0)) + Int(Self.word(descriptor, 2))
            guard Self.word(descriptor, 0) >= 0, Self.word(descriptor, 2) >= 0, end <= request.length else {
                return die("usbip_pad_iso")
            }
            sum += Int(Self.word(descriptor, 2))
        }
        return descriptors > 0 && sum != length ? die("total length of iso packets") : total
    }
}

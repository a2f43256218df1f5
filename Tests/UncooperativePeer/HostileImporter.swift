// SPDX-License-Identifier: Apache-2.0
import CShim
import USBIP

/// Takes one of the peer's devices as a kernel would, then says what kernels of their time could not bear, and waits
/// for the end of the connection. What is wrong with it: `Tests/USBIPTests/GuardKnownBugsTests.swift`.
struct HostileImporter {
    enum Wrong: String {
        /// CVE-2017-16912: an endpoint's number that is none.
        case endpoint
        /// CVE-2017-16913: a transfer of -1 bytes; more packets than there may be.
        case length, packets
        /// CVE-2017-16914: packets of a transfer without bytes.
        case buffer
        /// A header as payload of an endpoint that is not there; as packets; before the import is answered.
        case payload, descriptors, early
        /// SET_INTERFACE with data.
        case setting
        /// The same class, by what is asked for in one piece, in all, and as packets without bytes.
        case piece, memory, frames
        /// SET_ADDRESS.
        case address
    }

    private let stream: Int32
    private let device: DeviceRecord
    private var configuration: [UInt8] = []
    private var seqnum: UInt32 = 0

    /// - Returns: 0 when the connection has ended over it, 1 when something was answered, 69 without a connection or a
    ///   device, 65 when the device has not what it takes.
    static func run(_ busID: BusID, _ wrong: Wrong) -> Int32 {
        let stream = connect()
        guard stream >= 0 else { return 69 }
        let request = Operation.requestImport(busID)
        let early = PDUHeader(seqnum: 1, devid: 0x1_0002, body: .cmdSubmit(CmdSubmit())).encode()
        if wrong == .early {
            guard Local.send(stream, (request + early)[...]) else { return 69 }
            return end(stream)
        }
        guard Local.send(stream, request[...]), let device = importReply(stream, busID) else { return 69 }
        var importer = HostileImporter(stream: stream, device: device)
        guard importer.configure(), let bytes = importer.bytes(wrong) else { return 65 }
        guard Local.send(stream, bytes[...]) else { return 0 }
        return end(stream)
    }

    private init(stream: Int32, device: DeviceRecord) {
        self.stream = stream
        self.device = device
    }

    /// A connection to the peer's port 3240, by the agent of this guest (`ControlProtocol`).
    private static func connect() -> Int32 {
        let stream = Local.connect("/run/ringway/agent.sock")
        let request: [UInt8] = [0x52, 0x57, 0x43, 0x31, 1, 0, 0xA8, 0x0C, 0, 0, 0, 0, 0, 0, 0, 0]
        guard stream >= 0, Local.send(stream, request[...]) else { return -1 }
        let reply = Local.receive(stream, exactly: 16)
        return reply.count == 16 && reply[4] == 0 ? stream : -1
    }

    private static func end(_ stream: Int32) -> Int32 {
        let bytes = Local.receive(stream, atMost: 48)
        return bytes.isEmpty ? 0 : 1
    }

    private static func importReply(_ stream: Int32, _ busID: BusID) -> DeviceRecord? {
        let bytes = Local.receive(stream, exactly: 320)
        var decoder = ImportReplyDecoder(expecting: busID)
        do throws(USBIPError) {
            _ = try bytes.withUnsafeBufferPointer { (all) throws(USBIPError) in
                try decoder.feed(UnsafeRawBufferPointer(all))
            }
        } catch { return nil }
        if case .success(let device)? = decoder.outcome { return device }
        return nil
    }

    // MARK: As a kernel does it

    private mutating func header(
        _ endpoint: UInt32, _ direction: TransferDirection, _ submit: CmdSubmit
    ) -> [UInt8] {
        seqnum += 1
        return PDUHeader(
            seqnum: seqnum, devid: device.devid, direction: direction, endpoint: endpoint, body: .cmdSubmit(submit)
        ).encode()
    }

    /// - Returns: what a control request that reads brings; nil when it fails.
    private mutating func control(_ setup: SetupPacket) -> [UInt8]? {
        let isIn = setup.length > 0
        let submit = CmdSubmit(transferBufferLength: Int32(setup.length), setup: setup)
        guard Local.send(stream, header(0, isIn ? .in : .out, submit)[...]) else { return nil }
        let reply = Local.receive(stream, exactly: PDUHeader.size)
        guard reply.count == PDUHeader.size else { return nil }
        var length = 0
        for byte in reply[24..<28] { length = length << 8 | Int(byte) }
        return Local.receive(stream, exactly: isIn ? length : 0)
    }

    private mutating func configure() -> Bool {
        func get(_ length: UInt16) -> SetupPacket {
            SetupPacket(requestType: 0x80, request: 6, value: 0x0200, length: length)
        }
        guard let head = control(get(9)), head.count == 9,
            let all = control(get(UInt16(head[2]) | UInt16(head[3]) << 8)), all.count > 9
        else { return false }
        configuration = all
        return control(SetupPacket(request: 9, value: UInt16(all[5]))) != nil
    }

    /// The first isochronous endpoint that takes data, and where it is.
    private var isochronous: (interface: UInt8, setting: UInt8, endpoint: UInt8)? {
        var place: (UInt8, UInt8) = (0, 0)
        var position = 0
        while position + 4 <= configuration.count, configuration[position] >= 2 {
            let part = configuration[position...]
            if part[position + 1] == 4 { place = (part[position + 2], part[position + 3]) }
            if part[position + 1] == 5, part[position + 3] & 3 == 1, part[position + 2] & 0x80 == 0 {
                return (place.0, place.1, part[position + 2] & 15)
            }
            position += Int(configuration[position])
        }
        return nil
    }

    /// The first bulk endpoint that gives data.
    private var bulk: UInt32? {
        var position = 0
        while position + 4 <= configuration.count, configuration[position] >= 2 {
            let part = configuration[position...]
            if part[position + 1] == 5, part[position + 3] & 3 == 2, part[position + 2] & 0x80 != 0 {
                return UInt32(part[position + 2] & 15)
            }
            position += Int(configuration[position])
        }
        return nil
    }

    // MARK: What is wrong

    private mutating func bytes(_ wrong: Wrong) -> [UInt8]? {
        switch wrong {
        case .early: return nil
        case .endpoint:
            var bytes = header(1, .in, CmdSubmit())
            // The encoder has no such number.
            bytes[19] = 16
            return bytes
        case .length: return header(0, .in, CmdSubmit(transferBufferLength: -1))
        case .payload:
            let hidden = header(0, .out, CmdSubmit())
            return header(15, .out, CmdSubmit(transferBufferLength: 48)) + hidden
        case .setting:
            return header(
                0, .out,
                CmdSubmit(transferBufferLength: 1, setup: SetupPacket(requestType: 1, request: 11, length: 1))) + [0]
        case .address: return header(0, .out, CmdSubmit(setup: SetupPacket(request: 5, value: 100)))
        case .piece: return bulk.map { header($0, .in, CmdSubmit(transferBufferLength: 5 << 20)) }
        case .memory:
            // The device gives nothing before it is asked: those that pass stay open.
            guard let bulk else { return nil }
            let large = CmdSubmit(transferFlags: 0x0004_0000, transferBufferLength: 1 << 20)
            var all: [UInt8] = []
            for _ in 0..<65 { all += header(bulk, .in, large) }
            return all
        case .packets, .buffer, .descriptors, .frames:
            guard let place = isochronous,
                control(
                    SetupPacket(
                        requestType: 1, request: 11, value: UInt16(place.setting), index: UInt16(place.interface)))
                    != nil
            else { return nil }
            return packets(wrong, UInt32(place.endpoint))
        }
    }

    private mutating func packets(_ wrong: Wrong, _ endpoint: UInt32) -> [UInt8] {
        func packet(_ offset: UInt32) -> [UInt8] {
            IsoPacketDescriptor(offset: offset, length: 64, actualLength: 0, status: 0).encode()
        }
        switch wrong {
        case .packets:
            let bytes = header(endpoint, .out, CmdSubmit(transferBufferLength: 0, numberOfPackets: 1025))
            return bytes + [UInt8](repeating: 0, count: 1025 * 16)
        case .frames:
            // A second of them each: those that pass stay open.
            var all: [UInt8] = []
            let empty = [UInt8](repeating: 0, count: 1024 * 16)
            for _ in 0..<400 {
                all += header(endpoint, .out, CmdSubmit(transferFlags: 2, numberOfPackets: 1024, interval: 1)) + empty
            }
            return all
        case .buffer: return header(endpoint, .out, CmdSubmit(numberOfPackets: 2)) + packet(0) + packet(64)
        default:
            // Three packets are as long as a header.
            let hidden = header(0, .out, CmdSubmit())
            return header(endpoint, .out, CmdSubmit(numberOfPackets: 3)) + hidden
        }
    }
}

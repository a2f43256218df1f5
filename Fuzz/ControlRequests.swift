// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

@testable import GuestAgent
@testable import RingTransport

private let geometry = SectionGeometry(channels: 2, ringCapacity: 4096, opensA: 2)!
nonisolated(unsafe) private let own = PeerMemory(size: geometry.sectionSize)
nonisolated(unsafe) private let peer = PeerMemory(size: geometry.sectionSize)
/// It keeps what it allocates: one for all inputs.
nonisolated(unsafe) private let resting = RestingChannels(count: geometry.channels, peer: peer.readOnly)

/// A folder of this process alone, and the listener in it.
nonisolated(unsafe) private let listener: (descriptor: Int32, folder: String) = {
    let folder = scratchFolder()
    return (LocalSocket.listen(folder + "/agent.sock"), folder)
}()

/// For sockets, whose names must be short. Two fuzzers may run at once.
func scratchFolder() -> String {
    let path = "/tmp/ringway-fuzz-\(getpid())"
    _ = path.withCString { mkdir($0, 0o700) }
    return path
}

/// Programs that say anything to a data path whose link is up, in any pieces, and leave at any moment: each is answered
/// with a whole answer or let go, and nobody else's place is taken.
func fuzzControlRequests(_ input: inout Input) {
    let run = ControlRun()
    while !input.isEmpty { run.step(&input) }
    run.end()
}

private final class ControlRun {
    private let dataPath: DataPath
    private let worker: (near: Int32, far: Int32)
    private let controls: EndControls
    private var programs: [Program] = []
    private var other: Link!

    private final class Program {
        let socket: Int32
        var answer: [UInt8] = []
        var hasAsked = 0
        init(socket: Int32) { self.socket = socket }
    }

    init() {
        for memory in [own, peer] { memory.clear() }
        var worker: (Int32, Int32) = (-1, -1)
        must(cs_packet_pair(&worker.0, &worker.1) == 0, "socketpair: \(cs_errno())")
        guard let controls = try? EndControls.create(channels: 2), let identity = try? ProcessIdentity.attach(),
            let events = EventPoll()
        else {
            say("fuzz: cannot set a data path up: \(cs_errno())")
            exit(74)
        }
        self.worker = worker
        self.controls = controls
        let channels = (0..<2).map {
            Channel(
                number: $0, side: .a, geometry: geometry, own: own.writable, peer: peer.readOnly, copy: .block,
                controls: controls.block($0), attachment: identity.attachment)
        }
        func link(_ side: Side, _ reset: @escaping () -> Void) -> Link {
            Link(
                side: side, geometry: geometry, own: side == .a ? own.writable : peer.writable,
                peer: side == .a ? peer.readOnly : own.readOnly, doorbell: 0, polls: true, misses: 1000,
                random: { 5 + side.rawValue }, resetSection: reset)
        }
        let near = link(.a) { for channel in channels { channel.resetForEpoch() } }
        // An event counter in the place of each timer.
        let timers = (0..<3).map { _ in eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)) }
        resting.wakeAll()
        dataPath = DataPath(
            settings: DataPathSettings(
                side: .a, geometry: geometry, copy: .block, runtimeDirectory: listener.folder,
                heartbeatMilliseconds: 50, heartbeatMisses: 1000, connectMilliseconds: 300, unlinkMilliseconds: 300,
                isGuarded: true, policy: nil, openBytes: 1 << 20, spinMicroseconds: 0, group: 0, sections: []),
            link: near, channels: channels, resting: resting, events: events, doorbell: .none,
            descriptors: DataPath.Descriptors(
                listener: listener.descriptor, termination: timers[2], heartbeat: timers[0], pollTimer: timers[1],
                worker: worker.0),
            controls: controls, identity: identity, memoryFaults: { 0 })
        must(events.addInput(listener.descriptor, .listener) && events.addInput(worker.0, .worker), "epoll")
        other = link(.b) {}
        for _ in 0..<4 {
            _ = other.look()
            _ = dataPath.work()
        }
        must(dataPath.link.isUp, "the link does not come up")
    }

    private func turn() {
        dataPath.events.wait(milliseconds: 0) { dataPath.handle($0) }
        _ = dataPath.work()
        for program in programs { hear(program) }
    }

    func step(_ input: inout Input) {
        let what = input.byte()
        switch what & 15 {
        case 0, 1: connect()
        case 2...6: ask(&input)
        case 7: speak(&input)
        case 8: if !programs.isEmpty { close(programs.remove(at: input.below(programs.count)).socket) }
        case 9: answerWorker(&input)
        case 10...12: peerSays(&input)
        default: beat()
        }
        turn()
        must(dataPath.clients.count <= DataPath.maximumClients, "too many programs")
        for (number, connection) in dataPath.connections.enumerated() {
            guard let slot = connection?.client else { continue }
            must(dataPath.clients[slot]?.socket == connection?.socket, "channel \(number) answers another program")
        }
    }

    private func connect() {
        guard programs.count < 6 else { return }
        let socket = LocalSocket.connect(listener.folder + "/agent.sock")
        if socket >= 0 { programs.append(Program(socket: socket)) }
    }

    private func ask(_ input: inout Input) {
        if programs.isEmpty { connect() }
        let port = UInt16(truncatingIfNeeded: input.number(0, 1, 3240, 255, 256, 0xFFFF))
        let operation = ControlProtocol.Operation(rawValue: UInt16(input.byte() % 6)) ?? .connect
        var request = ControlProtocol.request(
            ControlProtocol.Request(operation: operation, port: port, flags: input.number(0, 1)))
        if input.byte() >= 0xE0 { request[input.below(16)] = input.byte() }
        let first = input.byte() < 0xC0 ? 16 : input.below(16)
        guard let program = programs.last else { return }
        let parsed = withExactly(request) { ControlProtocol.parse(UnsafeRawBufferPointer($0)) }
        if let parsed { must(ControlProtocol.request(parsed) == request, "a request that is written otherwise") }
        send(program, Array(request.prefix(first)))
        turn()
        send(program, Array(request.dropFirst(first)))
    }

    private func speak(_ input: inout Input) {
        guard !programs.isEmpty else { return }
        let program = programs[input.below(programs.count)]
        send(program, input.bytes(1 + Int(input.byte() & 63)))
    }

    private func send(_ program: Program, _ bytes: [UInt8]) {
        program.hasAsked += bytes.count
        _ = bytes.withUnsafeBufferPointer {
            CShim.send(program.socket, $0.baseAddress, $0.count, cs_msg_dontwait() | cs_msg_nosignal())
        }
    }

    private func hear(_ program: Program) {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
        defer { room.deallocate() }
        let count = recv(program.socket, room.baseAddress, room.count, cs_msg_dontwait())
        if count > 0 { program.answer += room[..<count] }
        guard !program.answer.isEmpty else { return }
        must(program.hasAsked >= ControlProtocol.size, "answered before it asked")
        guard let reply = ControlProtocol.parseReply(program.answer) else {
            return must(false, "no reply: \(program.answer)")
        }
        must(reply.length == 0 || program.answer.count >= 16 + reply.length, "half an answer")
    }

    private func answerWorker(_ input: inout Input) {
        guard let packet = WorkerPacket.receive(worker.far) else { return }
        // The slot may have another program by now; a late answer must not reach it.
        let answer = WorkerPacket(
            .usbipStatus, slot: Int(packet.slot) + input.below(3) / 2, generation: packet.generation,
            text: input.bytes(20))
        _ = answer.send(worker.far)
    }

    private func peerSays(_ input: inout Input) {
        let number = input.below(2)
        let page = peer.writable + SectionLayout.channelPage(number)
        let state = UInt64(input.number(2, 6, 4, 0, 5, 1, 3) & 7)
        SharedWord64(page + SectionLayout.channelState).storeRelease(
            UInt64(dataPath.channels[number].incarnation) << 32 | state)
    }

    private func beat() {
        var one: UInt64 = 1
        _ = write(dataPath.descriptors.heartbeat, &one, 8)
        _ = other.tick()
        dataPath.tick()
    }

    func end() {
        for program in programs { close(program.socket) }
        programs = []
        for _ in 0..<3 { turn() }
        dataPath.dropConnections(ECONNRESET)
        for slot in dataPath.clients.indices { dataPath.abandonClient(slot) }
        let own = dataPath.descriptors
        for fd in [own.heartbeat, own.pollTimer, own.termination, worker.near, worker.far] { close(fd) }
    }
}

extension Doorbell {
    /// Both sides poll.
    fileprivate static var none: Doorbell {
        guard let none = try? Doorbell.open(DoorbellSpecification.none) else { exit(74) }
        return none
    }
}

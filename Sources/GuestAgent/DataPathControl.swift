// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import RingTransport
import USBIP

/// A program that has connected to `agent.sock` and is not yet, or never becomes, a channel's stream.
final class ControlClient {
    /// The control socket; of a program that does not wait, the agent's end of its stream.
    var socket: Int32
    /// Bytes in that stream that are not the program's; 0 where the program waits.
    var filling = 0
    /// Bytes of the request that have come so far.
    var request: [UInt8] = []
    /// The number of the question to the sysfs worker that it waits for; 0 for none.
    var question: UInt32 = 0
    var wantsJSON = false
    /// Heartbeats since it connected; it is let go when its request takes too long.
    var age = 0
    /// What it has been told to say on the stream whose ring it would use; 0: it has not asked.
    var ticket: UInt64 = 0
    /// How many had connected before it, and it.
    let order: UInt64

    /// It has not asked, or has yet to say its ticket: both are done at once, by whoever means it.
    var isIdle: Bool { request.count < ControlProtocol.size || ticket != 0 }

    init(socket: Int32, order: UInt64) {
        self.socket = socket
        self.order = order
    }
}

/// The control socket: who asks, and what they are answered.
extension DataPath {
    /// Programs that may be waiting at once.
    static let maximumClients = 256

    func acceptClient() {
        let socket = LocalSocket.accept(descriptors.listener)
        guard socket >= 0 else {
            // Out of descriptors: the listener stays ready, and would wake this thread without end. The next
            // heartbeat listens again.
            if cs_errno() != EAGAIN {
                events.remove(descriptors.listener)
                isDeaf = true
            }
            return
        }
        var slot = clients.firstIndex { $0 == nil } ?? clients.count
        let mayAsk = cs_peer_may_ask(socket, settings.group)
        if slot == Self.maximumClients, mayAsk { slot = makeRoom() }
        arrivals &+= 1
        guard slot < Self.maximumClients, mayAsk, events.addInput(socket, .client, index: mark(slot, arrivals)) else {
            close(socket)
            return
        }
        if slot == clients.count { clients.append(nil) }
        clients[slot] = ControlClient(socket: socket, order: arrivals)
        // It asks at once, most likely.
        serveClient(slot)
    }

    /// What stands for a client in epoll: its slot, and which client, since what epoll reports at once may be of one
    /// that made room meanwhile.
    private func mark(_ slot: Int, _ order: UInt64) -> Int { slot | Int(order & 0x7F_FFFF) << 8 }

    func hear(_ mark: Int) {
        let slot = mark & 0xFF
        guard slot < clients.count, let client = clients[slot], self.mark(slot, client.order) == mark else { return }
        serveClient(slot)
    }

    /// Whoever connects asks at once: of those that have not, the oldest is let go, so that they keep nobody out.
    /// - Returns: its slot, or `maximumClients` where all have asked.
    private func makeRoom() -> Int {
        for _ in clients.indices {
            var oldest = Self.maximumClients
            var order = UInt64.max
            for slot in clients.indices {
                guard let client = clients[slot], client.isIdle, client.order < order else { continue }
                (oldest, order) = (slot, client.order)
            }
            guard oldest < Self.maximumClients else { break }
            // What it has said by now counts.
            serveClient(oldest)
            guard let client = clients[oldest] else { return oldest }
            if client.isIdle {
                abandonClient(oldest)
                return oldest
            }
        }
        return Self.maximumClients
    }

    func serveClient(_ slot: Int) {
        guard slot < clients.count, let client = clients[slot] else { return }
        let wanted = ControlProtocol.size - client.request.count
        // A program that waits for its connection's answer says nothing more; if it does, or leaves, it is let go.
        let count = wanted > 0 ? recv(client.socket, bounce.baseAddress, wanted, cs_msg_dontwait()) : 0
        if count < 0, cs_errno() == EAGAIN { return }
        guard count > 0 else {
            abandonClient(slot)
            return
        }
        for i in 0..<count { client.request.append(bounce[i]) }
        if count == wanted { execute(slot) }
    }

    func execute(_ slot: Int) {
        guard let client = clients[slot] else { return }
        let request = client.request.withUnsafeBufferPointer { ControlProtocol.parse(UnsafeRawBufferPointer($0)) }
        switch request?.operation {
        case .none: reply(slot, EINVAL)
        case .status?: askWorker(slot, json: request?.flags == ControlProtocol.flagJSON)
        case .connect?, .begin?: open(slot, request?.port ?? 0, waits: request?.operation == .connect)
        case .direct?: giveTicket(slot)
        case .progress?: reply(slot, 0, progressText(Int(request?.port ?? 0)))
        }
    }

    /// The kernel's part of a status report is read by the sysfs worker, which may take its time.
    func askWorker(_ slot: Int, json: Bool) {
        generation = generation &+ 1 == 0 ? 1 : generation &+ 1
        clients[slot]?.question = generation
        clients[slot]?.wantsJSON = json
        let packet = WorkerPacket(.usbipStatus, slot: slot, generation: generation)
        if !packet.send(descriptors.worker) { answerStatus(slot, kernel: "not read: the sysfs worker is busy") }
    }

    func hearWorker() {
        guard let packet = WorkerPacket.receive(descriptors.worker) else { return }
        let slot = Int(packet.slot)
        // Late answers find their program gone, or the slot with another question.
        guard slot < clients.count, clients[slot]?.question == packet.generation else { return }
        answerStatus(slot, kernel: String(bytes: packet.text[...]))
    }

    func answerStatus(_ slot: Int, kernel: String) {
        guard let client = clients[slot] else { return }
        reply(slot, 0, StatusReport(self, kernel: kernel).text(json: client.wantsJSON))
    }

    /// Opens a channel for a program; if it waits, it is answered when the peer has.
    func open(_ slot: Int, _ port: UInt16, waits: Bool) {
        guard let client = clients[slot] else { return }
        guard port > 0 else { return reply(slot, EINVAL) }
        guard link.isUp else { return reply(slot, EHOSTUNREACH) }
        guard let number = channels.firstIndex(where: { connections[$0.number] == nil && $0.isFree() }) else {
            return reply(slot, EADDRNOTAVAIL)
        }
        if !waits, !giveStream(client, slot) { return }
        let connection = Connection(
            channel: channels[number], socket: client.socket, rules(port, .importer, client.socket))
        connection.client = slot
        connections[number] = connection
        channels[number].open(port: port)
        resting.update(channels[number])
        counters.opened &+= 1
    }

    /// Answers a program with its stream, whose other end takes the control socket's place.
    private func giveStream(_ client: ControlClient, _ slot: Int) -> Bool {
        var filling: Int32 = 0
        let answer = ControlProtocol.reply(0)
        // Which bytes fill it is nobody's concern: they come back here.
        let stream = cs_give_full_stream(
            client.socket, answer, answer.count, bounce.baseAddress!, bounce.count, &filling)
        guard stream >= 0 else {
            reply(slot, cs_errno())
            return false
        }
        events.remove(client.socket)
        close(client.socket)
        client.socket = stream
        client.filling = Int(filling)
        // A program that closes its end has left. Where that cannot be seen, it is when the peer has answered.
        _ = events.addHangup(stream, .client, index: mark(slot, client.order))
        return true
    }

    /// Tells a program that its connection is made: with an answer, or by the room that there is from now on.
    private func isTold(_ client: ControlClient, _ number: Int) -> Bool {
        if client.filling == 0 { return send(client.socket, ControlProtocol.reply(0, channel: UInt32(number))) }
        while client.filling > 0 {
            let count = recv(client.socket, bounce.baseAddress, min(client.filling, bounce.count), cs_msg_dontwait())
            if count <= 0 { return false }
            client.filling -= count
        }
        return true
    }

    /// Answers the program that waits on a channel, if there is one; with 0 its socket becomes the stream.
    func answerClient(_ number: Int, _ result: Int32) {
        guard let slot = connections[number]?.client, let client = clients[slot] else { return }
        connections[number]?.client = nil
        if result == 0 {
            events.remove(client.socket)
            clients[slot] = nil
            if !isTold(client, number) || !events.addStream(client.socket, channel: number) {
                end(number, .local(errno: EPIPE))
            }
            return
        }
        // The socket belongs to the client slot again, which closes it after the answer.
        connections[number] = nil
        reply(slot, result)
    }

    private func send(_ socket: Int32, _ bytes: [UInt8]) -> Bool {
        let flags = cs_msg_dontwait() | cs_msg_nosignal()
        return bytes.withUnsafeBufferPointer { CShim.send(socket, $0.baseAddress, $0.count, flags) == $0.count }
    }

    func reply(_ slot: Int, _ result: Int32, _ text: String = "") {
        guard let client = clients[slot] else { return }
        if client.filling > 0 {
            _ = cs_name_outcome(client.socket, UInt32(result))
        } else {
            let body = text.copyBytes()
            // A status text is far smaller than a socket's buffer; a program that does not read loses it.
            _ = send(client.socket, ControlProtocol.reply(result, following: body.count) + body)
        }
        forgetClient(slot)
        close(client.socket)
    }

    /// Once a heartbeat: listens again, and lets programs go that connected and never asked.
    func tendClients() {
        if isDeaf { isDeaf = !events.addInput(descriptors.listener, .listener) }
        for slot in clients.indices {
            guard let client = clients[slot], client.isIdle else { continue }
            client.age += 1
            let waited = client.age * settings.heartbeatMilliseconds
            if waited >= settings.connectMilliseconds { abandonClient(slot) }
        }
    }

    /// Frees the slot; the socket is the caller's.
    func forgetClient(_ slot: Int) {
        guard let client = clients[slot] else { return }
        events.remove(client.socket)
        clients[slot] = nil
    }

    /// The program left before it was answered.
    func abandonClient(_ slot: Int) {
        if let number = connections.firstIndex(where: { $0?.client == slot }) {
            channels[number].reset()
            release(number)
            return
        }
        guard let client = clients[slot] else { return }
        forgetClient(slot)
        close(client.socket)
    }
}

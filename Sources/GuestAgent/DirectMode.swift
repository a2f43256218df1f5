// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import RingTransport
import USBIP

/// What the agent gives to programs in direct mode, which use the ring of their connection themselves (docs/shim.md).
final class DirectMode {
    /// The files of the sections, and where these begin.
    let own: MappedSection
    let peer: MappedSection
    /// Who asks is told this number, and says it as the first bytes of the stream that is meant.
    let secret = UInt64(randomWord()) << 32 | UInt64(randomWord()) | 1

    /// nil where the sections are no files, or not cached.
    init?(_ own: MappedSection, _ peer: MappedSection, _ copy: CopyMode) {
        guard own.shared >= 0, peer.shared >= 0, copy == .block else { return nil }
        self.own = own
        self.peer = peer
    }
}

extension DataPath {
    /// Answers a program that has a stream and would use its ring: with what it has to say as the stream's first bytes.
    /// So it can have no other connection's ring than its own.
    func giveTicket(_ slot: Int) {
        guard let direct, let client = clients[slot] else { return reply(slot, EOPNOTSUPP) }
        // Which client it is, and what nobody else can know.
        client.ticket = UInt64(randomWord()) << 32 | 1 << 31 | UInt64(slot)
        // An answer, behind which 16 bytes follow.
        if !sendWords(client, [UInt64(ControlProtocol.magic), 16, direct.secret, client.ticket], []) {
            abandonClient(slot)
        }
    }

    private func sendWords(_ client: ControlClient, _ words: [UInt64], _ descriptors: [Int32]) -> Bool {
        words.withUnsafeBytes { bytes in
            descriptors.withUnsafeBufferPointer {
                cs_send_with(client.socket, bytes.baseAddress!, bytes.count, $0.baseAddress, Int32($0.count)) == 0
            }
        }
    }

    /// Looks at the first bytes of a program's stream, once.
    func redeemTicket(_ number: Int) {
        guard let direct, let connection = connections[number], connection.isFresh, connection.readable,
            connection.client == nil
        else { return }
        let words = bounce.baseAddress!
        var count = -1
        if connection.failure == 0 {
            count = recv(connection.socket, words, 16, cs_msg_dontwait() | cs_msg_peek())
            if count < 0, cs_errno() == EAGAIN {
                connection.readable = false
                return
            }
        }
        if count < 0 {
            // The kernel says it once; who is to hear it has perhaps not been told yet that there is a connection.
            if connection.failure == 0 { connection.failure = cs_errno() }
            if connection.channel.isEstablished { end(number, .local(errno: connection.failure)) }
            return
        }
        connection.isFresh = false
        guard count == 16, words.load(as: UInt64.self) == direct.secret else { return }
        recv(connection.socket, words, 16, cs_msg_dontwait())
        let ticket = words.load(fromByteOffset: 8, as: UInt64.self)
        let slot = Int(ticket & 0xFF)
        // Who has not asked has 0, and what stands there may be anything.
        guard ticket != 0, slot < clients.count, let client = clients[slot], client.ticket == ticket else { return }
        forgetClient(slot)
        guard connection.rules == nil, connection.channel.port != USBIPProtocol.port,
            let grant = DirectGrant(holder: client.socket)
        else {
            close(client.socket)
            return
        }
        share(connection, grant, client, direct)
    }

    /// Shares a connection's ring with its program. Where that is not possible, nothing has changed.
    private func share(
        _ connection: Connection, _ grant: DirectGrant, _ client: ControlClient, _ direct: DirectMode
    ) {
        let channel = connection.channel
        guard events.addEdges(client.socket, .kick, index: channel.number) else { return }
        grant.page.delivered.storeRelaxed(connection.bytesIn)
        channel.share(grant, randomWord() | 1)
        let words =
            [UInt64(ControlProtocol.magic), 48]
            + channel.describe(
                direct.own.sharedOffset, direct.peer.sharedOffset, settings.geometry, polls: link.peerPolls)
        if sendWords(client, words, [grant.descriptor, direct.own.shared, direct.peer.shared]) {
            grant.wasSent()
            counters.direct &+= 1
        } else {
            channel.takeBack()
        }
    }

    /// A program has said something on the stream of its grant: the peer has to be woken, or there is something to see.
    func hearKick(_ number: Int) {
        mustRing = true
        // There is room for the next byte then; each is an edge (epoll(7)).
        if let holder = channels[number].direct?.holder {
            recv(holder, bounce.baseAddress!, bounce.count, cs_msg_dontwait())
        }
    }

    /// Once a heartbeat: what lies in a ring whose program has not come by goes into its socket. So a call that the
    /// library did not see, a poll by another process perhaps, has it late, and does not miss it.
    func sweepDirect() {
        for number in resting.busy {
            guard let connection = connections[number], let page = connection.channel.direct?.page else { continue }
            let head = connection.channel.consumer.head
            if head == connection.sweptHead { page.isAttended.storeRelaxed(0) }
            connection.sweptHead = head
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

@testable import RingTransport

private let geometry = SectionGeometry(channels: 2, ringCapacity: 4096, opensA: 1)!
nonisolated(unsafe) private let own = PeerMemory(size: geometry.sectionSize)
nonisolated(unsafe) private let peer = PeerMemory(size: geometry.sectionSize)
nonisolated(unsafe) private let controls = PeerMemory(size: 4096)
nonisolated(unsafe) private let identity = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)

/// A channel whose peer's page holds anything, at any step: what this side says of itself stays what the protocol
/// allows, a fault is for good, and no byte is read or written that is not the ring's.
func fuzzChannelRecords(_ input: inout Input) {
    for memory in [own, peer, controls] { memory.clear() }
    identity.pointee = 42
    let start = input.byte()
    let run = ChannelRun(
        number: Int(start & 1), copy: start & 2 == 0 ? .block : .alignedWords,
        index: input.word() & (start & 4 != 0 ? ~0 : 0))
    while !input.isEmpty { run.step(&input) }
}

private final class ChannelRun {
    let channel: Channel
    let page: UnsafeMutableRawPointer
    private var fault: ChannelFault?
    private var before = (incarnation: UInt32(0), state: ChannelState.closed)
    private var tail: UInt32 = 0

    init(number: Int, copy: CopyMode, index: UInt32) {
        channel = Channel(
            number: number, side: .a, geometry: geometry, own: own.writable, peer: peer.readOnly, copy: copy,
            controls: controls.writable, attachment: Attachment(identity: UnsafePointer(identity)))
        page = peer.writable + SectionLayout.channelPage(number)
        channel.resetForEpoch()
        channel.producer.begin(at: index)
        channel.consumer.begin(at: index)
    }

    func step(_ input: inout Input) {
        let what = input.byte()
        switch what & 15 {
        case 0...3: peerState(&input)
        case 4, 5: peerWord(&input)
        case 6: honestAnswer()
        case 7...9: look()
        case 10: if channel.isFree() { channel.open(port: UInt16(what >> 4) + 1) }
        case 11: if channel.waitingPort != nil { if what & 16 == 0 { channel.accept() } else { channel.refuse(111) } }
        case 12: if what & 16 == 0 { channel.finish() } else { channel.reset() }
        case 13: write(&input)
        case 14: read(&input)
        default: armWakes()
        }
        check()
    }

    // MARK: The peer

    private func peerState(_ input: inout Input) {
        let state = input.number(0, 1, 2, 3, 4, 5, 6, 7)
        let incarnation = input.number(channel.incarnation, channel.incarnation &+ 1, 0, 1)
        SharedWord64(page + SectionLayout.channelState).storeRelease(UInt64(incarnation) << 32 | UInt64(state))
    }

    private func peerWord(_ input: inout Input) {
        let words = [
            SectionLayout.channelPort, SectionLayout.channelStartIndex, SectionLayout.channelFinalIndex,
            SectionLayout.channelReason, SectionLayout.channelTail, SectionLayout.channelHead,
            SectionLayout.channelConsumerWake, SectionLayout.channelProducerWake,
        ]
        let place = words[input.below(words.count)]
        let base = input.bool() ? channel.consumer.head : channel.producer.tail
        SharedWord32(page + place).storeRelaxed(
            input.number(base, base &+ 1, base &+ 4096, base &+ 4097, base &- 1, base &- 4096, 0, .max))
    }

    /// What a well-behaved peer would say next, so that deep states are reached.
    private func honestAnswer() {
        let next: ChannelState
        switch channel.state {
        case .closed: next = channel.opensHere ? .closed : .open
        case .open: next = .accepted
        case .accepted: next = .established
        case .established, .finished: next = .finished
        case .reset, .refused: next = .closed
        }
        let number = next == .open ? channel.incarnation &+ 1 : channel.incarnation
        if next == .open { SharedWord32(page + SectionLayout.channelPort).storeRelaxed(3240) }
        SharedWord64(page + SectionLayout.channelState).storeRelease(UInt64(number) << 32 | UInt64(next.rawValue))
    }

    // MARK: This side

    private func look() {
        switch channel.look() {
        case .opened(let port):
            must(port > 0 && !channel.opensHere, "the peer opened port \(port) on a channel that is not its own")
            must(channel.waitingPort == port, "nobody waits")
        case .established: must(channel.isEstablished, "established, and not so")
        case .peerFinished: must(channel.peerFinal != nil, "no final index")
        case .peerReset, .closed, .refused: must(!channel.isEstablished, "ended, and not so")
        case .none: break
        }
    }

    private func write(_ input: inout Input) {
        guard channel.isEstablished, channel.state != .finished else { return }
        let bytes = [UInt8](repeating: 0x55, count: input.below(6000))
        do throws(RingError) {
            var hold = try channel.producer.hold()
            let result = withExactly(bytes) { room in
                Result { () throws(RingError) in try hold.write(UnsafeRawBufferPointer(room)) }
            }
            let count = try result.get()
            must(count <= min(bytes.count, 4096), "\(count) bytes went into a ring of 4096")
            _ = hold.finish(peerPolls: input.bool())
        } catch { channel.fail(.ring(error)) }
    }

    private func read(_ input: inout Input) {
        guard channel.isEstablished else { return }
        let size = input.below(6000)
        let mode = input.byte()
        do throws(RingError) {
            var hold = try channel.consumer.hold()
            if mode & 1 == 0 {
                let result = withExactly([UInt8](repeating: 0, count: size)) { room in
                    Result { () throws(RingError) in try hold.read(into: room) }
                }
                must(try result.get() <= min(size, 4096), "more bytes than a ring has")
            } else {
                let spans = try hold.peek()
                must(spans.count <= 4096, "\(spans.count) bytes in a ring of 4096")
                var sum: UInt64 = 0
                for byte in spans.first { sum &+= UInt64(byte) }
                for byte in spans.second { sum &+= UInt64(byte) }
                must(sum <= 4096 * 255, "bytes of elsewhere")
                try hold.consume(min(size, spans.count))
            }
            _ = hold.finish(peerPolls: mode & 2 != 0)
        } catch { channel.fail(.ring(error)) }
    }

    private func armWakes() {
        guard channel.isEstablished else { return }
        do throws(RingError) {
            var inward = try channel.consumer.hold()
            _ = try inward.requestWake()
            var outward = try channel.producer.hold()
            _ = try outward.requestWake(free: 2048)
        } catch { channel.fail(.ring(error)) }
    }

    // MARK: What must hold

    private func check() {
        if let fault {
            must(channel.fault == fault, "a fault went away: \(fault)")
            must(channel.state == .reset && !channel.isEstablished, "a channel goes on behind \(fault)")
        }
        fault = channel.fault
        if let fault { must(!fault.sentence.isEmpty, "a fault without words") }
        let published = SharedWord64(
            own.readOnly + SectionLayout.channelPage(channel.number) + SectionLayout.channelState
        )
        .loadAcquire()
        // What the peer has opened is said of nowhere before it is answered.
        must(
            channel.waitingPort != nil
                || published == UInt64(channel.incarnation) << 32 | UInt64(channel.state.rawValue),
            "the record says \(published), the channel is \(channel.incarnation)/\(channel.state)")
        let ownTail = SharedWord32(own.readOnly + SectionLayout.channelPage(channel.number) + SectionLayout.channelTail)
        must(ownTail.loadAcquire() == channel.producer.tail, "the published tail is not the end's own")
        if channel.incarnation == before.incarnation {
            must(channel.isStep(from: before.state), "went from \(before.state) to \(channel.state)")
        }
        before = (channel.incarnation, channel.state)
    }
}

extension Channel {
    /// A side only ever moves forward within an incarnation.
    fileprivate func isStep(from old: ChannelState) -> Bool {
        switch (old, state) {
        case _ where old == state: true
        case (_, .reset): true
        case (.closed, .accepted), (.closed, .refused): !opensHere
        case (.open, .established), (.open, .closed): opensHere
        case (.accepted, .finished), (.established, .finished): true
        case (_, .closed): true
        default: false
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import Testing

@testable import RingTransport

/// Both sides of the channels of a link that is up, in plain memory.
final class TwoSides {
    static let geometry = SectionGeometry(channels: 2, ringCapacity: 4096, opensA: 1)!
    let memory: [UnsafeMutableRawPointer]
    let controls: UnsafeMutableRawPointer
    let identity: UnsafeMutablePointer<UInt64>
    var a: [Channel] = []
    var b: [Channel] = []

    init() {
        let size = Self.geometry.sectionSize
        memory = (0..<2).map { _ in
            let section = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
            section.initializeMemory(as: UInt8.self, repeating: 0, count: size)
            return section
        }
        controls = UnsafeMutableRawPointer.allocate(byteCount: 1024, alignment: 64)
        controls.initializeMemory(as: UInt8.self, repeating: 0, count: 1024)
        identity = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        identity.initialize(to: 42)
        a = make(.a)
        b = make(.b)
        for channel in a + b { channel.resetForEpoch() }
    }

    deinit {
        memory.forEach { $0.deallocate() }
        controls.deallocate()
        identity.deallocate()
    }

    func make(_ side: Side) -> [Channel] {
        let own = memory[Int(side.rawValue)]
        let peer = memory[Int(side.peer.rawValue)]
        return (0..<2).map { number in
            let block = controls + (Int(side.rawValue) * 2 + number) * 2 * EndControl.size
            return Channel(
                number: number, side: side, geometry: Self.geometry, own: own, peer: peer, copy: .block,
                controls: block, attachment: Attachment(identity: UnsafePointer(identity)))
        }
    }

    /// Opens channel 0 from side a.
    func connect() {
        a[0].open(port: 3240)
        #expect(b[0].look() == .opened(port: 3240))
        b[0].accept()
        #expect(a[0].look() == .established)
        #expect(b[0].look() == .established)
    }

    func send(_ channel: Channel, _ text: String) throws {
        var hold = try channel.producer.hold()
        let bytes = Array(text.utf8)
        #expect(try bytes.withUnsafeBytes { try hold.write($0) } == bytes.count)
    }

    func receive(_ channel: Channel) throws -> String {
        var hold = try channel.consumer.hold()
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = try bytes.withUnsafeMutableBytes { try hold.read(into: $0) }
        return String(decoding: bytes[0..<count], as: UTF8.self)
    }
}

@Suite struct ChannelTests {
    /// RESET may hide FINISHED: the final index says what was before it.
    @Test(arguments: [false, true])
    func resetBehindTheEnd(_ ofOpener: Bool) throws {
        let two = TwoSides()
        let (left, right) = ofOpener ? (two.a[0], two.b[0]) : (two.b[0], two.a[0])
        for _ in 0..<2 {
            two.connect()
            try two.send(left, "all of it")
            left.finish()
            left.reset()
            #expect(right.look() == .peerReset && right.finalBeforeReset != nil)
            #expect(right.finalBeforeReset != right.consumer.head)
            #expect(try two.receive(right) == "all of it" && right.finalBeforeReset == right.consumer.head)
            #expect(left.look() == .closed)
            // The next one has none, though nothing was sent since.
            two.connect()
            #expect(right.finalBeforeReset == nil)
            left.reset()
            #expect(right.look() == .peerReset && right.finalBeforeReset == nil)
            #expect(left.look() == .closed)
        }
    }

    @Test func openAcceptSendFinishClose() throws {
        let two = TwoSides()
        for round in 1...3 {
            #expect(two.a[0].isFree())
            two.connect()
            #expect(two.a[0].incarnation == UInt32(round))
            try two.send(two.a[0], "request \(round)")
            #expect(try two.receive(two.b[0]) == "request \(round)")
            two.a[0].finish()
            #expect(two.b[0].look() == .peerFinished)
            #expect(two.b[0].hasReadAll)
            try two.send(two.b[0], "late answer")
            two.b[0].finish()
            #expect(two.a[0].look() == .peerFinished)
            #expect(two.a[0].look() == .none, "bytes are still unread")
            #expect(try two.receive(two.a[0]) == "late answer")
            #expect(two.a[0].look() == .closed)
            #expect(!two.a[0].isFree(), "the number is the peer's until it shows CLOSED too")
            #expect(two.b[0].look() == .closed)
        }
    }

    @Test func leftOverBytesDoNotReachTheNextConnection() throws {
        let two = TwoSides()
        two.connect()
        try two.send(two.a[0], "left over")
        try two.send(two.b[0], "left over too")
        two.a[0].reset()
        #expect(two.b[0].look() == .peerReset)
        #expect(two.a[0].look() == .closed)
        two.connect()
        try two.send(two.a[0], "fresh")
        #expect(try two.receive(two.b[0]) == "fresh")
        #expect(try two.receive(two.a[0]) == "")
    }

    @Test func refusalCarriesItsReason() {
        let two = TwoSides()
        two.a[0].open(port: 9)
        #expect(two.b[0].look() == .opened(port: 9))
        two.b[0].refuse(111)
        #expect(two.a[0].look() == .refused(untrustedReason: 111))
        #expect(two.b[0].look() == .closed)
        #expect(two.a[0].isFree())
    }

    @Test func openerGivesUpBeforeTheAnswer() {
        let two = TwoSides()
        two.a[0].open(port: 9)
        two.a[0].reset()
        #expect(two.b[0].look() == .none)
        #expect(two.a[0].look() == .closed)
        #expect(two.a[0].isFree())
        two.a[0].open(port: 9)
        #expect(two.b[0].look() == .opened(port: 9))
        two.a[0].reset()
        #expect(two.b[0].look() == .peerReset)
        #expect(two.b[0].waitingPort == nil)
        #expect(two.a[0].look() == .closed)
        #expect(two.a[0].isFree())
    }

    @Test func bothResetAtOnce() {
        let two = TwoSides()
        two.connect()
        two.a[0].reset()
        two.b[0].reset()
        #expect(two.a[0].look() == .closed)
        #expect(two.b[0].look() == .closed)
        #expect(two.a[0].isFree())
    }

    /// FINISHED may be overwritten by CLOSED before the other side looks.
    @Test func closedRightBehindFinishedLosesNothing() throws {
        let two = TwoSides()
        two.connect()
        two.a[0].finish()
        #expect(two.b[0].look() == .peerFinished)
        try two.send(two.b[0], "last")
        #expect(try two.receive(two.a[0]) == "last")
        two.b[0].finish()
        #expect(two.b[0].look() == .closed)
        #expect(two.a[0].look() == .closed)
    }

    /// Every state that a peer can publish against every state of this side: an event or a typed fault,
    /// never a crash, and a fault is sticky.
    @Test func everyStateAgainstEveryState() {
        let raw: [UInt32] = [0, 1, 2, 3, 4, 5, 6, 7, .max]
        for prepare in 0..<6 {
            for opener in [true, false] {
                for incarnation in [UInt32(0), 1, 2, .max] {
                    for state in raw {
                        let two = TwoSides()
                        let channel = opener ? two.a[0] : two.b[0]
                        Self.bring(two, opener, prepare)
                        let page = two.memory[opener ? 1 : 0] + SectionLayout.channelPage(0)
                        SharedWord64(page + SectionLayout.channelState)
                            .storeRelease(UInt64(incarnation) << 32 | UInt64(state))
                        SharedWord32(page + SectionLayout.channelFinalIndex).storeRelease(99_999)
                        // Who only asks whether the channel is free leaves what is wrong with it for the look to find.
                        if state > 6 {
                            #expect(!channel.isFree() && channel.fault == nil)
                        }
                        _ = channel.look()
                        if state > 6 { #expect(channel.fault == .badState(state)) }
                        if let fault = channel.fault {
                            SharedWord64(page + SectionLayout.channelState).storeRelease(0)
                            #expect(channel.look() == .none)
                            #expect(channel.fault == fault)
                            #expect(!channel.isFree())
                            #expect(!fault.sentence.isEmpty)
                        }
                    }
                }
            }
        }
    }

    /// Brings the side under test into the state with this number.
    static func bring(_ two: TwoSides, _ opener: Bool, _ number: Int) {
        switch number {
        case 0: break
        case 1:
            two.a[0].open(port: 1)
            _ = two.b[0].look()
        case 2: two.connect()
        case 3:
            two.connect()
            (opener ? two.a[0] : two.b[0]).finish()
        case 4:
            two.connect()
            (opener ? two.a[0] : two.b[0]).reset()
        default:
            two.a[0].open(port: 1)
            _ = two.b[0].look()
            two.b[0].refuse(111)
        }
    }

    @Test func thePeerMayNotOpenThisSidesShare() {
        let two = TwoSides()
        let page = two.memory[1] + SectionLayout.channelPage(0)
        SharedWord64(page + SectionLayout.channelState).storeRelease(1 << 32 | 1)
        #expect(two.a[0].look() == .peerReset)
        #expect(two.a[0].fault == .notPeersShare)
    }
}

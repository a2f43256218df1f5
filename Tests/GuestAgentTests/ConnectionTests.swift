// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import RingBuffer
import RingTransport
import Synchronization
import Testing
import USBIP

@testable import GuestAgent

/// A connection of side a whose peer is this test, on sections in plain memory.
private final class OneConnection: @unchecked Sendable {
    static let geometry = SectionGeometry(channels: 1, ringCapacity: 4096, opensA: 1)!
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 2 * 16384, alignment: 4096)
    let identity: ProcessIdentity
    let controls: [EndControls]
    let mine: Channel
    let peers: Channel
    /// The program's end of the stream.
    let program: Int32
    var connection: Connection

    init(_ copy: CopyMode, _ rules: Guard? = nil) throws {
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: 2 * 16384)
        let identity = try ProcessIdentity.attach()
        let controls = [try EndControls.create(channels: 1), try EndControls.create(channels: 1)]
        self.identity = identity
        self.controls = controls
        let sections = [memory, memory + 16384]
        func channel(_ side: Side) -> Channel {
            let own = Int(side.rawValue)
            return Channel(
                number: 0, side: side, geometry: Self.geometry, own: sections[own], peer: sections[1 - own],
                copy: copy, controls: controls[own].block(0), attachment: identity.attachment)
        }
        mine = channel(.a)
        peers = channel(.b)
        mine.resetForEpoch()
        peers.resetForEpoch()
        mine.open(port: 1)
        _ = peers.look()
        peers.accept()
        _ = mine.look()
        _ = peers.look()
        var pair: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, cs_sock_stream(), 0, &pair) == 0)
        program = pair[1]
        connection = Connection(channel: mine, socket: pair[0], rules)
    }

    deinit {
        close(program)
        close(connection.socket)
        memory.deallocate()
    }

    /// What the agent does when its kernel has written: the bytes that went on, and whether it rings.
    func write(_ bytes: some Collection<UInt8>) throws -> (moved: Int, ring: Bool) {
        #expect(Array(bytes).withUnsafeBytes { Output.writeAll(program, $0) })
        return try pump()
    }

    func pump() throws -> (moved: Int, ring: Bool) {
        let bounce = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 64)
        defer { bounce.deallocate() }
        connection.readable = true
        return try connection.pumpOutward(peerPolls: false, bounce: bounce)
    }

    /// The peer reads what is there, and goes to sleep.
    func readAll() throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.geometry.ringCapacity)
        var hold = try peers.consumer.hold()
        let count = try bytes.withUnsafeMutableBytes { try hold.read(into: $0) }
        #expect(try hold.requestWake())
        _ = hold.finish(peerPolls: false)
        return Array(bytes[..<count])
    }

    /// Reads `total` bytes from the ring, few at a time, so that the ring is full again and again.
    func drain(_ total: Int) throws {
        var left = total
        var bytes = [UInt8](repeating: 0, count: 64)
        while left > 0 {
            var hold = try peers.consumer.hold()
            let count = try bytes.withUnsafeMutableBytes { try hold.read(into: $0) }
            left -= count
            if count == 0 { sched_yield() }
        }
    }
}

@Suite struct ConnectionTests {
    /// A full ring in which the peer frees room at any instant must never look like the end of the stream.
    @Test(arguments: [CopyMode.block, .alignedWords])
    func aRingThatIsFullIsNotTheEndOfTheStream(_ copy: CopyMode) throws {
        let total = 1 << 20
        let one = try OneConnection(copy)
        let writer = Thread {
            let bytes = [UInt8](repeating: 7, count: 65536)
            for _ in 0..<(total / bytes.count) { bytes.withUnsafeBytes { _ = Output.writeAll(one.program, $0) } }
        }
        let reader = Thread { try? one.drain(total) }
        writer.start()
        reader.start()
        let bounce = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 64)
        defer { bounce.deallocate() }
        var moved = 0
        while moved < total, !one.connection.localFinished {
            one.connection.readable = true
            moved += try one.connection.pumpOutward(peerPolls: true, bounce: bounce).moved
        }
        #expect(!one.connection.localFinished)
        #expect(moved == total)
    }

    // MARK: The work of one pass

    /// Side b writes `bytes` as fast as they are read.
    private final class Refill: @unchecked Sendable {
        let isDone = Atomic(false)

        init(_ one: OneConnection, _ bytes: [UInt8]) {
            Thread.detachNewThread { [self] in
                var rest = bytes[...]
                while !rest.isEmpty, var hold = try? one.peers.producer.hold() {
                    guard let count = try? rest.withUnsafeBytes({ try hold.write($0) }) else { break }
                    rest = rest.dropFirst(count)
                    _ = hold.finish(peerPolls: true)
                    if count == 0 { sched_yield() }
                }
                isDone.store(true, ordering: .releasing)
            }
        }
    }

    /// Control requests with 60,000 bytes each, of which the guard reads the headers.
    private static func requests(_ count: Int) -> [UInt8] {
        let size = 60_000
        let setup = SetupPacket(requestType: 0x40, request: 1, length: UInt16(size))
        let submit = CmdSubmit(transferBufferLength: Int32(size), setup: setup)
        return (2..<(2 + UInt32(count))).flatMap { number in
            PDUHeader(seqnum: number, devid: 0x10002, direction: .out, body: .cmdSubmit(submit)).encode()
                + [UInt8](repeating: 7, count: size)
        }
    }

    /// Of a peer that writes without end a pass moves fewer bytes than two rings hold, and what the guard had kept of
    /// the pass before; then the others have their turn.
    @Test(arguments: [CopyMode.block, .alignedWords], [false, true])
    func aPassIsBounded(_ copy: CopyMode, _ isGuarded: Bool) throws {
        let capacity = OneConnection.geometry.ringCapacity
        let one = try OneConnection(copy, isGuarded ? Self.asked(0) : nil)
        let refill = Refill(one, isGuarded ? Self.requests(16) : [UInt8](repeating: 7, count: 1 << 20))
        let sink = Thread {
            var room = [UInt8](repeating: 0, count: 1 << 16)
            while recv(one.program, &room, room.count, 0) > 0 {}
        }
        sink.start()
        let bounce = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 64)
        defer { bounce.deallocate() }
        var largest = 0
        while !refill.isDone.load(ordering: .acquiring) {
            one.connection.writable = true
            let moved = try one.connection.pumpInward(peerPolls: true, bounce: bounce).moved
            if moved == 0 { sched_yield() }
            largest = max(largest, moved)
        }
        let most = 2 * capacity + (isGuarded ? GuardedStream.size : 0)
        #expect(largest > capacity / 2 && largest <= most, "\(largest)")
        shutdown(one.connection.socket, Int32(SHUT_RDWR))
    }

    // MARK: One doorbell for a whole transfer

    /// An exporter's guard behind an import, with a request for `length` bytes from endpoint 0 that waits.
    private static func asked(_ length: Int) throws -> Guard {
        let rules = Guard(.exporter)
        func pass(_ direction: GuardDirection, _ bytes: [UInt8]) {
            var copy = bytes
            let verdict = copy.withUnsafeMutableBytes { rules.judge(direction, $0) }
            #expect(verdict == .pass(bytes.count))
        }
        pass(.inward, Operation.requestImport(BusID("1-1")!))
        pass(.outward, Operation.replyImport(record("1-1", 1, 2)))
        let setup = SetupPacket(requestType: 0xC0, request: 1, length: UInt16(length))
        let submit = CmdSubmit(transferBufferLength: Int32(length), setup: setup)
        pass(.inward, PDUHeader(seqnum: 1, devid: 0x10002, direction: .in, body: .cmdSubmit(submit)).encode())
        return rules
    }

    private static func answer(_ length: Int) -> [UInt8] {
        let reply = RetSubmit(actualLength: Int32(length))
        return PDUHeader(seqnum: 1, body: .retSubmit(reply)).encode() + (0..<length).map { UInt8($0 % 251) }
    }

    /// The kernel writes a reply in two parts, cut anywhere: the peer is woken once, when all of it is there.
    @Test(arguments: [CopyMode.block, .alignedWords])
    func aPartOfATransferDoesNotRing(_ copy: CopyMode) throws {
        let answer = Self.answer(600)
        for cut in 1..<answer.count {
            let one = try OneConnection(copy, Self.asked(600))
            #expect(try one.readAll() == [])
            let first = try one.write(answer[..<cut])
            try #require(first.moved == cut && !first.ring, "cut at \(cut)")
            let second = try one.write(answer[cut...])
            try #require(second.moved == answer.count - cut && second.ring, "cut at \(cut)")
            #expect(try one.readAll() == answer)
        }
    }

    /// A reply that is larger than the ring rings when the ring is full, and once more for the rest.
    @Test(arguments: [CopyMode.block, .alignedWords])
    func aFullRingRings(_ copy: CopyMode) throws {
        let answer = Self.answer(5000)
        let one = try OneConnection(copy, Self.asked(5000))
        #expect(try one.readAll() == [])
        #expect(try one.write(answer[..<4000]) == (4000, false))
        #expect(try one.write(answer[4000..<4500]) == (96, true))
        #expect(try one.readAll() == Array(answer[..<4096]))
        #expect(try one.pump() == (404, false))
        #expect(try one.write(answer[4500...]) == (548, true))
        #expect(try one.readAll() == Array(answer[4096...]))
    }

    /// A kernel that stops amid a reply: the peer hears of it.
    @Test func aReplyThatBreaksOffRings() throws {
        let one = try OneConnection(.block, Self.asked(600))
        #expect(try one.readAll() == [])
        #expect(try one.write(Self.answer(600)[..<100]) == (100, false))
        #expect(shutdown(one.program, Int32(SHUT_WR)) == 0)
        #expect(try one.pump() == (0, true))
        #expect(one.connection.localFinished)
    }

    /// Bytes that are no USB/IP have no whole.
    @Test func whatIsNotGuardedRings() throws {
        let one = try OneConnection(.block)
        for _ in 0..<2 {
            #expect(try one.readAll().count >= 0)
            #expect(try one.write(Self.answer(600)[..<100]) == (100, true))
        }
    }
}

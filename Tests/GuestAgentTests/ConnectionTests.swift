// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import RingBuffer
import RingTransport
import Testing

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

    init(_ copy: CopyMode) throws {
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
        connection = Connection(channel: mine, socket: pair[0])
    }

    deinit {
        close(program)
        close(connection.socket)
        memory.deallocate()
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
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import Testing

@testable import RingTransport

/// What an agent shares with a program in direct mode, and how long the program has it.
struct DirectGrantTests {
    /// The program's end of the stream by which it has asked.
    final class Program {
        private(set) var end: Int32 = -1
        let holder: Int32

        init() {
            var pair: [Int32] = [-1, -1]
            #expect(socketpair(AF_UNIX, cs_sock_stream() | cs_sock_cloexec(), 0, &pair) == 0)
            (end, holder) = (pair[0], pair[1])
        }

        deinit { leave() }

        func leave() {
            if end >= 0 { close(end) }
            end = -1
        }
    }

    /// The page as the program has it.
    final class Page {
        let base: UnsafeMutableRawPointer

        init(_ grant: DirectGrant) throws {
            let place = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, grant.descriptor, 0)
            base = try #require(place == cs_map_failed() ? nil : place)
        }

        deinit { munmap(base, 4096) }
    }

    /// Whoever has the stream has the page: whatever has been said on it, and however many copies there are of it.
    @Test func theStreamTellsWhoHasThePage() throws {
        let program = Program()
        let grant = try #require(DirectGrant(holder: program.holder))
        #expect(!grant.isAbandoned())
        let bytes = [UInt8](repeating: 1, count: 1000)
        #expect(send(program.end, bytes, bytes.count, 0) == bytes.count)
        let copy = dup(program.end)
        program.leave()
        #expect(!grant.isAbandoned())
        close(copy)
        #expect(grant.isAbandoned() && grant.isAbandoned())
    }

    @Test func itClosesTheStreamAndLetsNobodySealThePage() throws {
        let program = Program()
        var grant = DirectGrant(holder: program.holder)
        let descriptor = try #require(grant).descriptor
        // F_ADD_SEALS: F_SEAL_SEAL, SHRINK, GROW, WRITE, FUTURE_WRITE.
        for seal: Int32 in [1, 2, 4, 8, 16] { #expect(cs_fcntl_int(descriptor, 1033, seal) == -1) }
        grant = nil
        var byte: UInt8 = 0
        #expect(recv(program.end, &byte, 1, cs_msg_dontwait()) == 0)
    }

    /// An end that is still held when its connection is over keeps the channel, until it is given back or its program
    /// is gone.
    @Test(arguments: [false, true], [false, true])
    func aHeldEndKeepsTheChannel(_ isProducer: Bool, givesBack: Bool) throws {
        let two = TwoSides()
        two.connect()
        let program = Program()
        let grant = try #require(DirectGrant(holder: program.holder))
        two.a[0].share(grant, 7)
        let page = try Page(grant)
        let held = page.base + (isProducer ? 0 : EndControl.size)
        held.storeBytes(of: 4711, as: UInt64.self)
        two.a[0].reset()
        #expect(two.b[0].look() == .peerReset && two.a[0].look() == .closed)
        two.a[0].takeBack()
        #expect(two.a[0].isLeft && !two.a[0].isFree())
        if givesBack { held.storeBytes(of: 0, as: UInt64.self) } else { program.leave() }
        #expect(!two.a[0].isLeft && two.a[0].isFree())
    }

    /// A final index contradicts what has been read: a program's doing, perhaps, where one has the ring; else the
    /// peer's.
    @Test(arguments: [false, true])
    func whoseIndexIsWrong(_ isDirect: Bool) throws {
        let two = TwoSides()
        two.connect()
        let program = Program()
        let grant = try #require(DirectGrant(holder: program.holder))
        if isDirect {
            two.b[0].share(grant, 7)
            let page = try Page(grant)
            (page.base + EndControl.size + 8).storeBytes(of: 0x10_0000, as: UInt32.self)
        } else {
            two.b[0].consumer.begin(at: 0x10_0000)
        }
        two.a[0].finish()
        #expect(two.b[0].look() == .peerReset)
        #expect((two.b[0].fault == nil) == isDirect)
        two.b[0].takeBack()
        guard isDirect else { return }
        #expect(two.a[0].look() == .peerReset && two.b[0].look() == .closed)
        #expect(two.a[0].isFree())
        two.connect()
    }
}

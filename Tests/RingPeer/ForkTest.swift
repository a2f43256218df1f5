// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import RingBuffer
import TestSupport

/// What a child may do with what it inherits by `fork`: nothing, until it attaches itself.
enum ForkTest {
    static func run() throws -> Int32 {
        let area = try KillArea()
        let ends = try area.ends(capacity: 64, copy: .block)
        var tally = Tally()
        area.begin(ends, at: 0)
        let text: [UInt8] = [1, 2, 3, 4]
        var writer = try ends.producer.hold()
        var reader = try ends.consumer.hold()
        _ = try text.withUnsafeBytes { try writer.write($0) }
        _ = try reader.readable()
        let child = ct_fork()
        if child == 0 { ct_exit(inChild(ends, writer, reader)) }
        tally.equal(ct_reap(child), 0, "the child's mistakes (a bit each)")
        // Nothing happened to the parent's holds, its control blocks, or its bytes.
        tally.equal(ends.producerControl.currentOwner, area.identity.word.pointee, "the producer end's owner")
        tally.equal(ends.consumerControl.currentOwner, area.identity.word.pointee, "the consumer end's owner")
        tally.check(ends.producer.fault == nil && ends.consumer.fault == nil, "the child left a fault")
        tally.equal(try text.withUnsafeBytes { try writer.write($0) }, 4, "bytes written")
        var got = [UInt8](repeating: 0, count: 16)
        tally.equal(try got.withUnsafeMutableBytes { try reader.read(into: $0) }, 8, "bytes read")
        tally.equal(Array(got[..<8]), text + text, "the bytes")
        // The child's finish did not take the parent's announcements for made.
        tally.check(writer.finish(peerPolls: false) == false, "nobody waits")
        tally.check(reader.finish(peerPolls: false) == false, "nobody waits")
        tally.add(try staleHold(area, ends))
        print("fork: \(tally.failed) of \(tally.checks) checks failed \(tally.failures)")
        return tally.failed == 0 ? 0 : 1
    }

    /// In the child: each operation on an inherited hold or attachment fails. A bit for each that did not.
    private static func inChild(
        _ ends: KillArea.Ends, _ writer: consuming ProducerHold, _ reader: consuming ConsumerHold
    ) -> Int32 {
        var mistakes: Int32 = 0
        func expectDetached(_ bit: Int32, _ body: () throws(RingError) -> Void) {
            do throws(RingError) {
                try body()
                mistakes |= 1 << bit
            } catch {
                if error != .detached { mistakes |= 1 << bit }
            }
        }
        var target: UInt32 = 0
        var writer = writer
        var reader = reader
        expectDetached(0) { () throws(RingError) in _ = try ends.producer.hold() }
        expectDetached(1) { () throws(RingError) in _ = try ends.consumer.hold() }
        expectDetached(2) { () throws(RingError) in
            _ = try writer.write(UnsafeRawBufferPointer(start: ends.noise.baseAddress!, count: 40))
            _ = try writer.writable()
        }
        expectDetached(3) { () throws(RingError) in try writer.commit(1) }
        expectDetached(4) { () throws(RingError) in _ = try writer.requestWake(free: 64) }
        expectDetached(5) { () throws(RingError) in
            _ = try withUnsafeMutableBytes(of: &target) { bytes throws(RingError) in try reader.read(into: bytes) }
        }
        expectDetached(5) { () throws(RingError) in try reader.consume(1) }
        if writer.finish(peerPolls: false) { mistakes |= 1 << 6 }
        if reader.finish(peerPolls: false) { mistakes |= 1 << 6 }
        return mistakes
    }

    /// The parent goes on before the child looks: what the child inherited contradicts the peer's indices,
    /// and must not become a fault of the parent's end, nor may its bytes land among the parent's.
    private static func staleHold(_ area: KillArea, _ ends: KillArea.Ends) throws -> Tally {
        var tally = Tally()
        area.begin(ends, at: 0)
        area.stage.storeRelease(0)
        var writer = try ends.producer.hold()
        let child = ct_fork()
        if child == 0 {
            while area.stage.loadAcquire() == 0 { sched_yield() }
            // As much as fits where its copy of the indices says, so that it needs no look at the peer's.
            _ = try? writer.write(UnsafeRawBufferPointer(rebasing: ends.noise[..<50]))
            _ = try? writer.writable()
            _ = writer.finish(peerPolls: false)
            ct_exit(0)
        }
        let bytes = [UInt8](repeating: 7, count: 40)
        for _ in 0..<2 { _ = try bytes.withUnsafeBytes { try writer.write($0) } }
        _ = writer.finish(peerPolls: false)
        var got = [UInt8](repeating: 0, count: 40)
        do {
            var reader = try ends.consumer.hold()
            _ = try got.withUnsafeMutableBytes { try reader.read(into: $0) }
        }
        area.stage.storeRelease(1)
        tally.equal(ct_reap(child), 0, "the child")
        tally.equal(ends.producer.fault, nil, "the parent's end after the child looked")
        var reader = try ends.consumer.hold()
        let rest = try got.withUnsafeMutableBytes { try reader.read(into: $0) }
        tally.equal(Array(got[..<rest]), [UInt8](repeating: 7, count: 24), "bytes that the child did not touch")
        return tally
    }
}

// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim
import RingBuffer

/// What the two processes of a measurement tell each other and their parent: a page in shared memory.
final class Board {
    /// Round trips of a line in one probe.
    private static let trips: UInt32 = 2000

    private let area: SharedArea

    static let size = 4096

    /// - Parameter descriptor: of a file of so many bytes; unless given, the processes are forked.
    init(descriptor: Int32 = -1) throws { area = try SharedArea(Self.size, descriptor: descriptor) }

    /// For another measurement by the same processes, none of which uses it now.
    func clear() { area.base.initializeMemory(as: UInt8.self, repeating: 0, count: Self.size) }

    /// Words that one process writes and the other reads are two lines apart.
    private func word(_ offset: Int) -> SharedWord32 { SharedWord32(area.base + offset) }
    private func long(_ offset: Int) -> SharedWord64 { SharedWord64(area.base + offset) }

    private func arrived(_ index: Int, _ place: Int) -> SharedWord32 { word(128 * (index + 2 * place)) }
    private func ball(_ index: Int, _ isAfter: Bool) -> SharedWord32 { word(512 + 128 * (index + (isAfter ? 2 : 0))) }
    private func began(_ index: Int) -> SharedWord64 { long(1024 + 64 * index) }
    private func ended(_ index: Int) -> SharedWord64 { long(1152 + 64 * index) }
    private func delayed(_ index: Int) -> SharedWord64 { long(1536 + 64 * index) }
    private func bounced(_ isAfter: Bool) -> SharedWord64 { long(1408 + (isAfter ? 64 : 0)) }
    private func text(_ index: Int) -> UnsafeMutablePointer<CChar> {
        (area.base + 2048 + Self.textSize * index).assumingMemoryBound(to: CChar.self)
    }
    private static let textSize = 1024

    /// Returns when both processes are there.
    func meet(_ index: Int, at place: Int) {
        // Release: pairs with the acquire in the other process: what was prepared is there when both have arrived.
        arrived(index, place).storeRelease(1)
        while arrived(1 - index, place).loadAcquire() == 0 { cs_cpu_relax() }
    }

    func begin(_ index: Int) { began(index).storeRelaxed(Self.now) }

    func end(_ index: Int) { ended(index).storeRelaxed(Self.now) }

    /// - Parameter time: nanoseconds in which something else had this process's processor.
    func note(_ index: Int, delayed time: UInt64) { delayed(index).storeRelaxed(time) }

    /// Both at once: a line goes to and fro (one each way: who reads a line never writes it, as with a ring's indices),
    /// and the first process notes how long a round trip takes.
    func bounce(_ index: Int, isAfter: Bool) {
        let (own, other) = (ball(index, isAfter), ball(1 - index, isAfter))
        let round = { (number: UInt32) in
            if index == 0 { own.storeRelease(number) }
            while other.loadAcquire() != number { cs_cpu_relax() }
            if index == 1 { own.storeRelease(number) }
        }
        // The first ones wait for the other process to start.
        for number in 1...100 { round(UInt32(number)) }
        let start = Self.now
        for number in 101...100 + Self.trips { round(number) }
        if index == 0 { bounced(isAfter).storeRelaxed(Self.now - start) }
    }

    /// Why a process ends early.
    func complain(_ index: Int, _ reason: String) {
        // One byte less than there is: the last one stays 0.
        reason.withCString { _ = strncpy(text(index), $0, Self.textSize - 1) }
    }

    /// What the processes have said of that.
    var complaint: String? {
        let reasons = (0..<2).filter { text($0).pointee != 0 }.map { String(cString: text($0)) }
        return reasons.isEmpty ? nil : reasons.joined(separator: "; ")
    }

    var outcome: ProcessPair.Outcome {
        let start = min(began(0).loadRelaxed(), began(1).loadRelaxed())
        let end = max(ended(0).loadRelaxed(), ended(1).loadRelaxed())
        return ProcessPair.Outcome(
            nanoseconds: end &- start, delayed: max(delayed(0).loadRelaxed(), delayed(1).loadRelaxed()),
            bounceBefore: Double(bounced(false).loadRelaxed()) / Double(Self.trips),
            bounceAfter: Double(bounced(true).loadRelaxed()) / Double(Self.trips))
    }

    /// CLOCK_MONOTONIC, which all processes have in common, in nanoseconds.
    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import TestSupport

@testable import RingTransport

/// A device that a doorbell waits on, without the device: a pair of sockets, of which the doorbell reads and writes one
/// end and the driver's part is played at the other.
///
/// It behaves as the drivers do: a reader finds one count however many interrupts there were before it looked; the
/// UIO drivers mask the interrupt until a 4-byte 1 is written, and keep one that comes meanwhile, or lose it where the
/// virtual machine's monitor does; the CAmkES connection masks nothing and takes no write; an input device gives
/// records of 24 bytes, four for a key that is pressed and released, and forgets what does not fit.
final class FakeInterrupt {
    enum Driver: CaseIterable { case uio, connection, input }

    let driver: Driver
    /// The monitor drops what it would inject while the interrupt is masked.
    let losesWhileMasked: Bool
    /// The doorbell's end.
    let device: Int32
    private let end: Int32
    private var total: UInt32 = 0
    private var isMasked = true
    private var isPending = false

    init(_ driver: Driver, losesWhileMasked: Bool = false) throws {
        self.driver = driver
        self.losesWhileMasked = losesWhileMasked
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, cs_sock_stream() | cs_sock_nonblock() | cs_sock_cloexec(), 0, &ends) == 0 else {
            throw SystemFailure("socketpair")
        }
        (device, end) = (ends[0], ends[1])
        isMasked = driver == .uio
    }

    /// The device's end belongs to the doorbell, which closes it.
    deinit { close(end) }

    /// The peer rings. - Returns: whether that is lost without a trace.
    @discardableResult
    func interrupt() -> Bool {
        takeWrites()
        guard !isMasked else {
            if losesWhileMasked { return true }
            isPending = true
            return false
        }
        deliver()
        return false
    }

    /// What the doorbell has written since the last look, in words; a fake driver acts upon it.
    @discardableResult
    func takeWrites() -> [UInt32] {
        var words: [UInt32] = []
        var word: UInt32 = 0
        while recv(end, &word, 4, cs_msg_dontwait()) == 4 {
            words.append(word)
            guard driver == .uio else { continue }
            isMasked = word == 0
            if !isMasked, isPending {
                isPending = false
                deliver()
            }
        }
        return words
    }

    var isReadable: Bool {
        var entry = pollfd(fd: device, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) == 1
    }

    private func deliver() {
        total += 1
        switch driver {
        case .uio, .connection:
            // One count, the last: what was not read yet is taken back.
            var old: UInt32 = 0
            while recv(device, &old, 4, cs_msg_dontwait()) == 4 {}
            _ = send(end, &total, 4, 0)
            if driver == .uio { isMasked = true }
        case .input:
            var records = [UInt8](repeating: 0, count: 4 * 24)
            // Type, code and value stand behind the time of 16 bytes: a key's press, and its release.
            for (record, type, value) in [(0, 1, 1), (1, 0, 0), (2, 1, 0), (3, 0, 0)] {
                records[record * 24 + 16] = UInt8(type)
                records[record * 24 + 20] = UInt8(value)
            }
            // The kernel keeps 64 for a reader.
            var waiting = [UInt8](repeating: 0, count: 65 * 24)
            let kept = recv(device, &waiting, waiting.count, Int32(MSG_PEEK) | cs_msg_dontwait())
            if kept + records.count <= 64 * 24 { _ = send(end, records, records.count, 0) }
        }
    }
}

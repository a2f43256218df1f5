// SPDX-License-Identifier: Apache-2.0
import CShim
import USBIP

/// Bytes of one direction on their way past the guard, in private memory: first those that were judged and may go on,
/// then those that were not, at most one incomplete header or answer, or what has to wait.
final class GuardedStream {
    /// Bytes; more than the guard ever needs to see at once.
    static let size = 2048

    private let rules: Guard
    private let direction: GuardDirection
    /// Behind them there is room for a header.
    private let bytes = UnsafeMutableRawBufferPointer.allocate(
        byteCount: GuardedStream.size + PDUHeader.size, alignment: 16)
    private(set) var judged = 0
    /// All of them. Who has filled a part of `free` adds it.
    var count = 0
    /// What was not judged has to wait until the other direction has moved on.
    private(set) var isHeld = false

    init(_ rules: Guard, _ direction: GuardDirection) {
        self.rules = rules
        self.direction = direction
    }

    deinit { bytes.deallocate() }

    /// So many of the next bytes need no judgement, and need not come here.
    var unread: Int { count == 0 ? rules.unread(direction) : 0 }
    /// Room is kept for what the guard has to say in front of what waits.
    var free: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: bytes[count..<max(count, Self.size - PDUHeader.size)])
    }
    var judgedBytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(rebasing: bytes[..<judged]) }

    /// Judges as much as can be judged.
    func judge() {
        isHeld = false
        while true {
            insert()
            switch rules.judge(direction, UnsafeMutableRawBufferPointer(rebasing: bytes[judged..<count])) {
            case .pass(let passed): judged += passed
            case .drop(let dropped): remove(dropped, at: judged)
            case .wait:
                isHeld = true
                return
            case .more, .refuse: return
            }
        }
    }

    /// What the guard has to say itself goes between two PDUs, where there is room.
    private func insert() {
        guard let start = bytes.baseAddress else { return }
        let header = UnsafeMutableRawBufferPointer(start: start + Self.size, count: PDUHeader.size)
        while count + header.count <= Self.size, rules.insert(direction, header) {
            memmove(start + judged + header.count, start + judged, count - judged)
            memcpy(start + judged, start + Self.size, header.count)
            judged += header.count
            count += header.count
        }
    }

    /// The first so many of the judged bytes have gone on.
    func remove(_ gone: Int) {
        remove(gone, at: 0)
        judged -= gone
    }

    private func remove(_ gone: Int, at position: Int) {
        guard gone > 0, let start = bytes.baseAddress else { return }
        count -= gone
        memmove(start + position, start + position + gone, count - position)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim

/// One end of a pair of mailboxes, a cache line each way: where a whole record fits one line, it crosses with the line
/// that says that it is there, and a question with its answer costs what two lines do.
///
/// A building block, no part of the layout of docs/region-layout.md: whoever owns a section places the lines, two lines
/// apart from what has another rhythm. Each side writes its own line alone:
///
///     0   payload, 56 bytes
///     56  number of the record that lies there (32 bits), and of the last one that was taken from the peer (32 bits)
///
/// Both numbers travel in one word, so that an answer acknowledges without a store of its own. There is room for one
/// record each way: the next may be written when the one before was taken. One process has an end at a time; there is
/// no lock, no system call, and nothing but plain loads and stores touches a section.
public struct LineRecord: ~Copyable {
    /// Bytes of a line, to which it is aligned.
    public static var size: Int { 64 }
    /// Bytes of a record.
    public static var payload: Int { 56 }

    /// In the own section, and in the peer's.
    @usableFromInline let own: UnsafeMutableRawPointer
    @usableFromInline let peer: UnsafeMutableRawPointer
    @usableFromInline let copy: CopyMode

    // The truth about this end is private; the sections hold published copies.
    @usableFromInline var sent: UInt32
    @usableFromInline var taken: UInt32
    /// The last of the own records that the peer has taken, as it was seen and validated.
    @usableFromInline var acknowledged: UInt32
    /// The sticky fault, if there is one.
    public private(set) var fault: RingError?

    /// - Parameters:
    ///   - own: 64-byte aligned; both lines stay mapped for as long as this value is used, and this side writes `own`
    ///     alone.
    ///   - start: the number before the first record's, as ``prepare(_:start:)`` was given it.
    public init(own: UnsafeMutableRawPointer, peer: UnsafeMutableRawPointer, copy: CopyMode, start: UInt32 = 0) {
        (self.own, self.peer, self.copy) = (own, peer, copy)
        (sent, taken, acknowledged) = (start, start, start)
    }

    /// Makes an own line one in which nothing lies. Both sides do that before either makes its end; zeros are such a
    /// line for a `start` of 0.
    public static func prepare(_ line: UnsafeMutableRawPointer, start: UInt32 = 0) {
        SharedWord64(line + payload).storeRelease(word(start, start))
    }

    @inlinable @inline(__always) static func word(_ record: UInt32, _ taken: UInt32) -> UInt64 {
        UInt64(record) | UInt64(taken) << 32
    }

    /// Puts a record into the line, with the acknowledgement of what was taken before.
    /// - Parameter bytes: at most 56; behind fewer the line keeps what it had.
    /// - Returns: false while the peer has not taken the record before.
    /// - Throws: ``RingError/overrun(asked:available:)``, or the sticky fault.
    @inlinable @inline(__always)
    public mutating func send(_ bytes: UnsafeRawBufferPointer) throws(RingError) -> Bool {
        guard bytes.count <= Self.payload else { throw .overrun(asked: bytes.count, available: Self.payload) }
        if let fault { throw fault }
        // Who was answered knows already.
        if sent != acknowledged { _ = try look() }
        guard sent == acknowledged else { return false }
        if let source = bytes.baseAddress {
            if copy == .block, bytes.count == Self.payload {
                memcpy(own, source, Self.payload)
            } else {
                RingCopy.store(own, source, bytes.count, copy)
            }
        }
        sent &+= 1
        publish()
        return true
    }

    /// Copies the peer's record out, once. The peer learns that with the next record, or by ``acknowledge()``. While it
    /// writes the line meanwhile, as no correct peer does, its bytes are of any mixture.
    /// - Parameter bytes: so many of the 56 are copied, at most all.
    /// - Returns: false when there is no new one.
    /// - Throws: the sticky fault.
    @inlinable @inline(__always)
    public mutating func receive(into bytes: UnsafeMutableRawBufferPointer) throws(RingError) -> Bool {
        if let fault { throw fault }
        guard try look() else { return false }
        if let destination = bytes.baseAddress {
            if copy == .block, bytes.count == Self.payload {
                memcpy(destination, peer, Self.payload)
            } else {
                RingCopy.load(destination, peer, min(bytes.count, Self.payload), copy)
            }
        }
        taken &+= 1
        return true
    }

    /// Says that what was received was taken. Needed where no record of one's own follows: it takes the line away from
    /// the peer once more.
    @inlinable public mutating func acknowledge() { publish() }

    /// Reads the peer's word, once, and validates it: the next record or none, and one's own as far as it was sent.
    /// - Returns: whether there is a record that was not taken.
    @inlinable @inline(__always) mutating func look() throws(RingError) -> Bool {
        // Acquire: pairs with the storeRelease of the peer's publish. The record's bytes are there when its number is;
        // and when a record is taken, the peer's loads of it are done, before this side overwrites it.
        let untrustedWord = SharedWord64(peer + Self.payload).loadAcquire()
        let untrustedRecord = UInt32(truncatingIfNeeded: untrustedWord)
        let untrustedTaken = UInt32(truncatingIfNeeded: untrustedWord >> 32)
        guard untrustedRecord &- taken <= 1, untrustedTaken &- acknowledged <= sent &- acknowledged else {
            throw peerFault(untrustedRecord, untrustedTaken)
        }
        acknowledged = untrustedTaken
        return untrustedRecord != taken
    }

    /// Apart, so that what every look needs stays small.
    @usableFromInline @inline(never) mutating func peerFault(_ record: UInt32, _ taken: UInt32) -> RingError {
        let found =
            record &- self.taken > 1
            ? RingError.peerIndex(published: record, lowest: self.taken, highest: self.taken &+ 1)
            : RingError.peerIndex(published: taken, lowest: acknowledged, highest: sent)
        fault = found
        return found
    }

    @inlinable @inline(__always) func publish() {
        // A release does not order stores to memory that is not cached; a full fence does everywhere.
        if copy == .alignedWords { fullFence() }
        // Release: pairs with the loadAcquire of the peer's look. The bytes of the own record are there before its
        // number, and the loads of the peer's are done before the peer may overwrite it.
        let word = SharedWord64(own + Self.payload)
        #if RINGWAY_WEAKEN_RECORD_RELEASE
        // Wrong on purpose: the race test must see a detector report this build.
        word.storeRelaxed(Self.word(sent, taken))
        #else
        word.storeRelease(Self.word(sent, taken))
        #endif
    }
}

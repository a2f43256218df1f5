// SPDX-License-Identifier: Apache-2.0

/// The control block of one end of a ring: guest-local memory (a memfd or tmpfs where processes share
/// the end), never a section. 64 bytes, 8-byte aligned, zeros when new.
///
/// The owner word is lock and owner in one: 0, or the identity of who holds the end (its process id and
/// start time). So there is no instant at which the lock is taken and nobody knows by whom, and a
/// process that dies at any instruction leaves either a free end or one whose dead owner can be named.
public struct EndControl: @unchecked Sendable {
    public static let size = 64

    @usableFromInline let base: UnsafeMutableRawPointer

    @inlinable public init(_ base: UnsafeMutableRawPointer) { self.base = base }

    // One pointer and fixed places: a hold carries the whole of its end.
    @inlinable @inline(__always) var owner: SharedWord64 { SharedWord64(base) }
    /// The truth about this end's index; the section holds a published copy.
    @inlinable @inline(__always) var index: SharedWord32 { SharedWord32(base + 8) }
    @inlinable @inline(__always) var faultCode: SharedWord32 { SharedWord32(base + 12) }
    /// The peer's index as it was last seen and validated.
    @inlinable @inline(__always) var seenPeer: SharedWord32 { SharedWord32(base + 16) }
    /// This end's index when the peer's wake index was last looked at.
    @inlinable @inline(__always) var notified: SharedWord32 { SharedWord32(base + 20) }
    private var faultPublished: SharedWord32 { SharedWord32(base + 24) }
    private var faultLowest: SharedWord32 { SharedWord32(base + 28) }
    private var faultHighest: SharedWord32 { SharedWord32(base + 32) }

    /// The sticky fault of this end, if it has one.
    public var fault: RingError? {
        switch faultCode.loadAcquire() {
        case 0: return nil
        case 1:
            return .peerIndex(
                published: faultPublished.loadRelaxed(), lowest: faultLowest.loadRelaxed(),
                highest: faultHighest.loadRelaxed())
        default: return .consumerDied
        }
    }

    /// Who holds the end; 0 when it is free.
    public var currentOwner: UInt64 { owner.loadRelaxed() }

    func record(_ fault: RingError) {
        switch fault {
        case .peerIndex(let published, let lowest, let highest):
            faultPublished.storeRelaxed(published)
            faultLowest.storeRelaxed(lowest)
            faultHighest.storeRelaxed(highest)
            faultCode.storeRelease(1)
        default: faultCode.storeRelease(2)
        }
    }

    /// Records that the peer published what no correct peer can, and says so. Apart, as the refusal below.
    @usableFromInline @inline(never) func peerFault(published: UInt32, lowest: UInt32, highest: UInt32) -> RingError {
        let fault = RingError.peerIndex(published: published, lowest: lowest, highest: highest)
        record(fault)
        return fault
    }

    /// Why a hold is refused, and gives back what was taken for it. Apart, so that what every hold needs stays small.
    /// - Parameter before: who had the end when `identity` asked for it; 0: nobody.
    @usableFromInline @inline(never) func refusal(_ identity: UInt64, _ before: UInt64) -> RingError {
        guard identity != 0 else { return .detached }
        guard before == 0 else { return .busy(owner: before) }
        defer { release() }
        return fault ?? .detached
    }

    @inlinable @inline(__always) func release() {
        // Release: pairs with the acquire of the next owner's exchangeIfEqual in hold().
        #if RINGWAY_WEAKEN_OWNER_RELEASE
        // Wrong on purpose: the race test must see a detector report this build.
        owner.storeRelaxed(0)
        #else
        owner.storeRelease(0)
        #endif
    }

    /// Prepares the end for a connection. The caller holds the end or knows that nobody can.
    func begin(at start: UInt32) {
        index.storeRelaxed(start)
        seenPeer.storeRelaxed(start)
        notified.storeRelaxed(start)
        faultCode.storeRelease(0)
    }
}

/// Who holds ends on behalf of this process: a word outside the sections that holds the identity of the
/// process (never 0 while it is attached) and reads 0 in a child after `fork`.
public struct Attachment: @unchecked Sendable {
    @usableFromInline let identity: UnsafePointer<UInt64>

    /// - Parameter identity: in a page that a child sees wiped (`MADV_WIPEONFORK`).
    public init(identity: UnsafePointer<UInt64>) { self.identity = identity }

    @inlinable @inline(__always) public var current: UInt64 { identity.pointee }
}

/// What taking over an end from a dead owner found.
public enum Recovery: Equatable, Sendable {
    /// The end goes on at `index`: every byte was either published or never will be. The doorbell has to
    /// be rung, because the dead owner may have published without ringing.
    case resumed(index: UInt32)
    /// A consumer died in its hold: the bytes from `index` on may or may not have been used. The stream
    /// must be reset.
    case reset(index: UInt32)
}

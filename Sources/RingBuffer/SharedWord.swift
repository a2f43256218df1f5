// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A naturally aligned word in memory that another process, or another guest, reads or writes too.
///
/// Only plain loads and stores touch a section (`load…`, `store…`): exclusives and locked
/// instructions are not legal on every memory type. `exchangeIfEqual` is for guest-local memory.
public struct SharedWord32: @unchecked Sendable {
    @usableFromInline let address: UnsafeMutablePointer<Atomic<UInt32>>

    /// - Parameter raw: 4-byte aligned; stays mapped for as long as this value is used.
    @inlinable public init(_ raw: UnsafeMutableRawPointer) {
        address = raw.assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    @inlinable @inline(__always) public func loadAcquire() -> UInt32 { address.pointee.load(ordering: .acquiring) }
    @inlinable @inline(__always) public func loadRelaxed() -> UInt32 { address.pointee.load(ordering: .relaxed) }
    @inlinable @inline(__always) public func storeRelease(_ value: UInt32) {
        address.pointee.store(value, ordering: .releasing)
    }
    @inlinable @inline(__always) public func storeRelaxed(_ value: UInt32) {
        address.pointee.store(value, ordering: .relaxed)
    }
}

/// The 64-bit form of ``SharedWord32``: what must be seen together travels in one word.
public struct SharedWord64: @unchecked Sendable {
    @usableFromInline let address: UnsafeMutablePointer<Atomic<UInt64>>

    /// - Parameter raw: 8-byte aligned; stays mapped for as long as this value is used.
    @inlinable public init(_ raw: UnsafeMutableRawPointer) {
        address = raw.assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    @inlinable @inline(__always) public func loadAcquire() -> UInt64 { address.pointee.load(ordering: .acquiring) }
    @inlinable @inline(__always) public func loadRelaxed() -> UInt64 { address.pointee.load(ordering: .relaxed) }
    @inlinable @inline(__always) public func storeRelease(_ value: UInt64) {
        address.pointee.store(value, ordering: .releasing)
    }
    @inlinable @inline(__always) public func storeRelaxed(_ value: UInt64) {
        address.pointee.store(value, ordering: .relaxed)
    }

    /// Stores `desired` if the word holds `expected`; guest-local memory only.
    /// - Returns: the value that was there before.
    @inlinable @inline(__always)
    public func exchangeIfEqual(_ expected: UInt64, _ desired: UInt64) -> UInt64 {
        // Acquire: pairs with the storeRelease of the owner before (EndControl.release), so that what it
        // wrote to the control block is seen by whoever holds the end next.
        address.pointee.compareExchange(
            expected: expected, desired: desired, successOrdering: .acquiring, failureOrdering: .relaxed
        ).original
    }
}

/// Orders every store before it against every load after it (x86: a locked instruction, which also
/// drains write-combining buffers; arm64: `dmb ish`).
@inlinable @inline(__always) public func fullFence() {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
}

/// One byte of a section, moved as a byte.
@usableFromInline
struct SharedByte {
    @usableFromInline let address: UnsafeMutablePointer<Atomic<UInt8>>
    @inlinable init(_ raw: UnsafeMutableRawPointer) { address = raw.assumingMemoryBound(to: Atomic<UInt8>.self) }
    @inlinable @inline(__always) func load() -> UInt8 { address.pointee.load(ordering: .relaxed) }
    @inlinable @inline(__always) func store(_ value: UInt8) { address.pointee.store(value, ordering: .relaxed) }
}

// SPDX-License-Identifier: Apache-2.0
import CShim

/// How long a consumer that polls looks away.
///
/// While messages stream one way, a consumer that is as fast as the producer takes each as it comes, and the line with
/// the tail goes to and fro for each. One that looks away for some tens of nanoseconds finds a batch, and the line goes
/// once. A consumer that answers what it gets must not look away: the peer waits for it.
public struct PollingPace {
    /// As many in a row are a batch: looking away longer gains nothing.
    @usableFromInline static var enough: UInt32 { 16 }
    @usableFromInline static var shortest: UInt32 { 2 }
    @usableFromInline static var longest: UInt32 { 64 }

    /// Pauses of the processor for which it looks away.
    @usableFromInline var pauses: UInt32 = 0
    /// Messages since the ring was empty.
    @usableFromInline var inRow: UInt32 = 0

    @inlinable public init() {}

    /// A message was there.
    @inlinable @inline(__always) public mutating func found() { inRow &+= 1 }

    /// The ring was empty: looks away.
    @inlinable public mutating func empty() {
        if inRow > 0 {
            pauses =
                inRow < Self.enough
                ? min(max(Self.shortest, pauses &* 2), Self.longest) : max(Self.shortest, pauses / 2)
            inRow = 0
        }
        for _ in 0..<max(1, pauses) { cs_cpu_relax() }
    }

    /// This process has sent something: an answer may come at once.
    @inlinable @inline(__always) public mutating func sent() {
        pauses = 0
        inRow = 0
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Which way bytes go, seen from this guest's kernel.
public enum GuardDirection: Sendable {
    /// From the peer's ring to the local socket.
    case inward
    /// From the local socket to this side's ring.
    case outward
}

/// What a guard makes of bytes that want to pass.
public enum GuardVerdict: Equatable, Sendable {
    /// This many of the bytes may pass now.
    case pass(Int)
}

/// The stage that every channel's bytes pass through, each way, on both sides.
///
/// This version lets everything pass and counts it: it holds the place in the data path, so that a guard
/// with rules changes no caller.
public struct Guard: Sendable {
    /// Bytes that passed, by direction.
    public private(set) var inward: UInt64 = 0
    public private(set) var outward: UInt64 = 0

    public init() {}

    /// Judges `available` bytes that have not passed yet.
    public func judge(_ direction: GuardDirection, available: Int) -> GuardVerdict { .pass(available) }

    /// Notes that `count` bytes went on.
    public mutating func passed(_ direction: GuardDirection, _ count: Int) {
        switch direction {
        case .inward: inward &+= UInt64(count)
        case .outward: outward &+= UInt64(count)
        }
    }
}

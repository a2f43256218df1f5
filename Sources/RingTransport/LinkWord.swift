// SPDX-License-Identifier: Apache-2.0

/// What one side says of the link.
public enum LinkState: UInt64, Sendable {
    /// No agent: never started, or stopped in an orderly way.
    case down = 0
    /// A new epoch is published; nothing else of the section has changed since the epoch before.
    case reset = 1
    /// The section is set up for this epoch; data moves when the peer says the same.
    case ready = 2
}

/// State, own epoch and acknowledged peer epoch in one 64-bit word, so that no reader ever sees one
/// without the others: bits 63…60 state, 59…30 own epoch, 29…0 the peer's epoch (0: none).
public struct LinkWord: Equatable, Sendable {
    public static let epochMask: UInt64 = (1 << 30) - 1

    public let state: LinkState
    /// Random, never 0 once a side has started; 30 bits.
    public let epoch: UInt32
    /// The peer epoch that this side acknowledges.
    public let acknowledged: UInt32

    public init(_ state: LinkState, epoch: UInt32, acknowledged: UInt32) {
        self.state = state
        self.epoch = epoch
        self.acknowledged = acknowledged
    }

    /// - Returns: nil when the state bits are none that this version knows.
    public init?(untrusted raw: UInt64) {
        guard let state = LinkState(rawValue: raw >> 60) else { return nil }
        self.init(
            state, epoch: UInt32((raw >> 30) & Self.epochMask), acknowledged: UInt32(raw & Self.epochMask))
    }

    public var raw: UInt64 {
        state.rawValue << 60 | (UInt64(epoch) & Self.epochMask) << 30 | UInt64(acknowledged) & Self.epochMask
    }
}

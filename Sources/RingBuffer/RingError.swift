// SPDX-License-Identifier: Apache-2.0

/// Why an end of a ring cannot be used.
public enum RingError: Error, Equatable, Sendable {
    /// The capacity is not a power of two from 2 to 2^30.
    case badCapacity(Int)
    /// Sticky. The peer published an index that no correct peer can publish.
    /// - `published`: what it wrote; `lowest` to `highest`: what would have been possible (modulo 2^32).
    case peerIndex(published: UInt32, lowest: UInt32, highest: UInt32)
    /// Sticky. A consumer died in a hold: what it did with the bytes is not known, so the stream is reset.
    case consumerDied
    /// Another owner holds the end; `owner` is its identity word.
    case busy(owner: UInt64)
    /// This process is not attached: its identity word reads 0, as it does in a child after `fork`.
    case detached
    /// More bytes were committed or consumed than were reserved or peeked.
    case overrun(asked: Int, available: Int)
}

// SPDX-License-Identifier: Apache-2.0
import RingBuffer

/// Which channels nobody uses, so that a pass over all of them costs next to nothing for those: where at each the word
/// with the peer's state stood when it was last looked at. As long as it stands so there is nothing to see.
public struct RestingChannels {
    /// Stands for a channel that is to be looked at, whatever its word: no state is all ones.
    private static let awake = UInt64.max
    private let words: UnsafeMutablePointer<UInt64>
    private let count: Int
    private let peer: UnsafeMutableRawPointer
    private let numbers: UnsafeMutablePointer<Int>
    private var others = 0

    /// - Parameter peer: the peer's section. What this allocates stays, as the section does.
    public init(count: Int, peer: UnsafeMutableRawPointer) {
        self.count = count
        self.peer = peer
        words = .allocate(capacity: count)
        numbers = .allocate(capacity: count)
        wakeAll()
    }

    /// The channels that somebody uses, as ``find()`` has found them.
    public var busy: UnsafeBufferPointer<Int> { UnsafeBufferPointer(start: numbers, count: others) }

    /// Finds the channels that are to be looked at. Relaxed: whoever looks at one loads its word again
    /// (PeerRecord.load), with acquire.
    public mutating func find() {
        others = 0
        var word = peer + SectionLayout.channelPage(0) + SectionLayout.channelState
        for number in 0..<count {
            if words[number] == Self.awake || SharedWord64(word).loadRelaxed() != words[number] {
                numbers[others] = number
                others += 1
            }
            word += SectionLayout.channelPage(1) - SectionLayout.channelPage(0)
        }
    }

    /// To be told after each look at a channel, and when this side opens it.
    public func update(_ channel: Channel) { words[channel.number] = channel.restingWord ?? Self.awake }

    /// All are looked at the next time.
    public func wakeAll() { words.update(repeating: Self.awake, count: count) }
}

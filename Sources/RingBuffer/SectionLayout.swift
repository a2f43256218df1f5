// SPDX-License-Identifier: Apache-2.0

/// Which of the two guests; set by configuration, never negotiated.
public enum Side: UInt32, Sendable {
    case a = 0
    case b = 1

    public var peer: Side { self == .a ? .b : .a }
    public var name: String { self == .a ? "a" : "b" }
}

/// What both sides' configurations must agree on; compared with the peer's header, never taken from it.
public struct SectionGeometry: Equatable, Sendable {
    /// Number of channels, 1 to 256.
    public let channels: Int
    /// Bytes in each ring: a power of two from 4096 to 2^30.
    public let ringCapacity: Int
    /// Side a opens the channels `0 ..< opensA`, side b the rest.
    public let opensA: Int

    /// - Returns: nil when a value is outside the documented range.
    public init?(channels: Int, ringCapacity: Int, opensA: Int) {
        guard (1...256).contains(channels), (0...channels).contains(opensA),
            (4096...(1 << 30)).contains(ringCapacity), ringCapacity & (ringCapacity - 1) == 0
        else { return nil }
        self.channels = channels
        self.ringCapacity = ringCapacity
        self.opensA = opensA
    }

    /// Bytes that one section needs.
    public var sectionSize: Int {
        SectionLayout.pageSize * (1 + channels) + channels * ringCapacity
    }

    /// The channel numbers that `side` may open.
    public func opens(_ side: Side) -> Range<Int> {
        side == .a ? 0..<opensA : opensA..<channels
    }
}

/// Byte offsets in a section; `docs/region-layout.md` holds the same table, and a test compares the two.
///
/// A section is written by one side alone: a header page, a page of index words for each channel, then
/// the data of the rings that this side produces. Words with different rhythms stay 128 bytes apart
/// (two cache lines: adjacent-line prefetch pairs them).
public enum SectionLayout {
    /// "RINGWAY1", little-endian. Written last, so that it vouches for the fields below it.
    public static let magic: UInt64 = 0x3159_4157_474E_4952
    public static let version: UInt32 = 1
    public static let pageSize = 4096

    // Header page.
    public static let headerMagic = 0x000
    public static let headerVersion = 0x008
    public static let headerSide = 0x00C
    public static let headerChannels = 0x010
    public static let headerRingCapacity = 0x014
    public static let headerOpensA = 0x018
    public static let headerLinkWord = 0x080
    public static let headerHeartbeat = 0x100
    public static let headerDoorbell = 0x180
    public static let headerFlags = 0x184

    /// Header flag: this side has no doorbell and polls; the peer needs neither fence nor ring.
    public static let flagPolls: UInt32 = 1

    // Channel page.
    public static let channelPort = 0x000
    public static let channelStartIndex = 0x004
    public static let channelFinalIndex = 0x008
    public static let channelReason = 0x00C
    public static let channelState = 0x010
    public static let channelGrant = 0x018
    public static let channelTail = 0x080
    public static let channelHead = 0x100
    public static let channelConsumerWake = 0x180
    public static let channelProducerWake = 0x200

    /// Offset of the index page of `channel`.
    public static func channelPage(_ channel: Int) -> Int { pageSize * (1 + channel) }

    /// Offset of the data of the ring that the section's own side produces on `channel`.
    public static func ringData(_ channel: Int, _ geometry: SectionGeometry) -> Int {
        pageSize * (1 + geometry.channels) + channel * geometry.ringCapacity
    }
}

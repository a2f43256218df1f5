// SPDX-License-Identifier: Apache-2.0
import RingBuffer

/// Why no data moves. None of these ends the agent: the peer may still put it right.
public enum WaitingReason: Equatable, Sendable {
    /// The own section had been in use; its heartbeat is watched before anything is written.
    case watchingOwnSection
    /// The peer's section holds no magic: its agent has not started yet.
    case noPeer
    /// The peer's section holds something that is not a Ringway header.
    case garbage(UInt64)
    case otherVersion(UInt32)
    case otherGeometry(channels: UInt32, ringCapacity: UInt32, opensA: UInt32)
    /// The peer's section says that it belongs to another side: the two sections are swapped, or both
    /// agents run as the same side.
    case wrongSide(UInt32)
    /// The peer's link word holds a state that does not exist.
    case badLinkWord(UInt64)
    /// The peer's agent stopped in an orderly way.
    case peerStopped
    /// The peer has not acknowledged this side's epoch yet.
    case awaitingAcknowledgement
    /// Both sides have acknowledged each other; the peer has not set its section up yet.
    case peerSettingUp
    /// The peer's heartbeat stood still for this many of this side's ticks.
    case silent(ticks: UInt32)
    /// The peer started again, or gave this side up.
    case peerRestarted
    /// This side's own section could no longer be read (its file was truncated).
    case memoryLost

    /// One sentence for `ringway status`.
    public func sentence(side: Side, geometry: SectionGeometry) -> String { words(side, geometry).text }

    private func words(_ side: Side, _ geometry: SectionGeometry) -> Message {
        let peer = side.peer.name
        switch self {
        case .watchingOwnSection:
            return "watching side \(side.name)'s own section for the heartbeat of another agent"
        case .noPeer:
            return "side \(peer)'s section is empty: its agent has not started; start it"
        case .garbage(let magic):
            return "side \(peer)'s section holds no Ringway header (first 8 bytes: 0x\(hexadecimal(magic))); "
                + "check that both sides map the same memory at the same offsets"
        case .otherVersion(let version):
            return "side \(peer) uses layout version \(version), this side \(SectionLayout.version); "
                + "install the same version on both sides"
        case .otherGeometry(let channels, let capacity, let opensA):
            return "side \(peer) is configured with channels=\(channels) ring-size=\(capacity) "
                + "opens-a=\(opensA), this side with channels=\(geometry.channels) "
                + "ring-size=\(geometry.ringCapacity) opens-a=\(geometry.opensA); make them equal"
        case .wrongSide(let found):
            return "the section of side \(peer) says that it is side \(found == 0 ? "a" : found == 1 ? "b" : "?")'s; "
                + "check `side` in both configurations"
        case .badLinkWord(let word):
            return "side \(peer)'s link word 0x\(hexadecimal(word)) is not valid"
        case .peerStopped: return "side \(peer)'s agent has stopped; start it"
        case .awaitingAcknowledgement:
            return "side \(peer) has not acknowledged this side's epoch yet; is its agent running?"
        case .peerSettingUp: return "side \(peer) is setting its section up"
        case .silent(let ticks):
            return "side \(peer)'s heartbeat has not moved for \(ticks) ticks; is its agent, or its guest, dead?"
        case .peerRestarted: return "side \(peer)'s agent has started again; the link is being set up anew"
        case .memoryLost: return "a section's file was truncated while it was mapped; restore it and restart"
        }
    }
}

/// Lower-case hexadecimal digits without a prefix.
public func hexadecimal(_ value: UInt64) -> String { digits(value, radix: 16) }

// SPDX-License-Identifier: Apache-2.0

/// How much a benchmark in virtual machines does.
public struct BenchSettings: Codable, Equatable, Sendable {
    /// What can be left out.
    public enum Part: String, Codable, CaseIterable, Sendable {
        /// The agents with nothing to do.
        case idle
        /// The ring against TCP.
        case transports = "tcp"
        /// Interrupts and sound, by the ring and by TCP.
        case events
        /// The guard on against off.
        case guards = "guard"
        /// Channels and rings of several sizes.
        case geometries = "geometry"
    }

    /// How often each contender has its turn at each kind of work.
    public var rounds: Int
    /// MiB that a turn moves in requests of 1 MiB.
    public var megabytes: Int
    /// Requests of a turn of 4 KiB, of 512 bytes, and control requests.
    public var requests: Int
    /// How long a window is in which the agents have nothing to do.
    public var idleSeconds: Int
    /// Of the virtual network cards.
    public var mtu: Int
    public var parts: [Part]
    /// Lines of both agents' configuration besides the usual ones.
    public var configuration: [String]

    public init(
        rounds: Int, megabytes: Int, requests: Int, idleSeconds: Int, mtu: Int, parts: [Part], configuration: [String]
    ) {
        (self.rounds, self.megabytes, self.requests) = (rounds, megabytes, requests)
        (self.idleSeconds, self.mtu, self.parts) = (idleSeconds, mtu, parts)
        self.configuration = configuration
    }

    func has(_ part: Part) -> Bool { parts.contains(part) }

    /// The bytes of a disk, all of which are compared: what the largest turn moves.
    var diskSize: Int { megabytes << 20 }

    /// More of them show nothing more.
    var idleWindows: Int { min(rounds, 5) }

    /// What ring and TCP do in turns.
    var works: [BenchWork] {
        let small = [4096, 512].flatMap { [BenchWork(.read, $0, requests), BenchWork(.write, $0, requests)] }
        return [bulkRead, BenchWork(.write, 1 << 20, megabytes)] + small + [control]
    }
    /// What they do with a keyboard and a sound device: a second or so each turn.
    var eventWorks: [BenchWork] {
        [BenchWork(.interrupt, 8, min(requests, 50)), BenchWork(.isochronous, 1536, min(requests, 150))]
    }
    var bulkRead: BenchWork { BenchWork(.read, 1 << 20, megabytes) }
    var control: BenchWork { BenchWork(.control, 2, requests) }
}

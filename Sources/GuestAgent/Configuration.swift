// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import RingTransport

/// What an agent is told: from a file, then from flags. `Configuration.keys` lists every key.
final class Configuration {
    static let defaultPath = "/etc/ringway/ringway.conf"

    var side: Side?
    var sectionA: SectionSpecification?
    var sectionB: SectionSpecification?
    var doorbell = DoorbellSpecification.none
    var channels = 16
    var ringSize = 262_144
    /// nil: half of the channels.
    var opensA: Int?
    var heartbeatMilliseconds = 500
    var heartbeatMisses = 10
    /// nil: chosen by the number of processors.
    var spinMicroseconds: Int?
    var connectTimeoutMilliseconds = 10_000
    var unlinkTimeoutMilliseconds = 10_000
    var isGuarded = true
    /// Programs under `ringway run --direct` use the ring themselves.
    var isDirect = false
    /// nil: the default file, which need not be there.
    var policy: String?
    var runtimeDirectory = "/run/ringway"
    /// Number of the group that may use agent.sock; 0 is root's.
    var group = 0
    /// Devices that are exported, and that are attached, whenever they are there.
    var exports: [DeviceRule] = []
    var attachments: [DeviceRule] = []

    static let runtimeDirectoryForm = "an absolute path of at most 79 bytes"

    /// `port/65535.6` in it must fit into a socket's address; the preload library has the same limit.
    static func isRuntimeDirectory(_ path: String) -> Bool { path.rest(after: "/") != nil && path.byteCount <= 79 }

    /// One key of the file, and flag of `ringway agent`.
    final class Key: Sendable {
        let name: String
        let form: String
        let meaning: String

        /// - Parameter line: `NAME; FORM; MEANING`.
        init(_ line: String) {
            let parts = line.parts(between: ";").map { $0.trimmed }
            name = parts[0]
            form = parts[1]
            meaning = parts[2]
        }
    }

    /// Name, form, meaning.
    static let keys = """
        side; a|b; which of the two guests this is
        section-a; PLACE; side a's section: file:PATH, uio:NAME, pci:ADDRESS or devmem:0xADDRESS, then ,map= ,bar= \
        ,offset= ,size=
        section-b; PLACE; side b's section
        doorbell; none|uio:NAME|generic-uio:NAME,map=N|connection:NAME,ring=NAME|gpio-keys:NAME,page=0xADDRESS\
        |eventfd:RX,TX; how the sides wake each other
        channels; 1-256; number of channels (default 16)
        ring-size; 4K-1G; bytes in each ring, a power of two (default 256K)
        opens-a; 0-channels; how many channels side a opens (default half)
        heartbeat-ms; 10-60000; period of the heartbeat (default 500)
        heartbeat-misses; 2-1000; periods until a silent peer is given up (default 10)
        spin-us; auto|0-10000; how long to poll after traffic (default auto)
        connect-timeout-ms; 100-600000; how long a program waits for the peer's answer (default 10000)
        unlink-timeout-ms; 1000-600000; how long the peer may leave the withdrawal of a USB request unanswered \
        (default 10000)
        guard; on|off; let pass on USB/IP's port only what the protocol allows; off also ends the watch on unlinks \
        (default on)
        direct; on|off; let programs of `ringway run --direct` use the ring themselves (default off)
        policy; PATH; which devices may cross (default /etc/ringway/policy, if it is there)
        export; RULE …; devices to export whenever they are plugged in: bus ids, VVVV:PPPP, VVVV:PPPP:SERIAL
        attach; RULE …; devices to attach whenever the peer offers them: the peer's bus ids, VVVV:PPPP
        group; GID; number of the group whose programs may connect, and ask for the status (default root's)
        runtime-dir; PATH; directory of agent.sock and port/ (default /run/ringway)
        """.parts(between: "\n").map { Key($0) }
}

/// A configuration in which everything needed is there and fits together.
final class CheckedConfiguration {
    let configuration: Configuration
    let side: Side
    let geometry: SectionGeometry
    private let sections: [SectionSpecification]

    var doorbell: DoorbellSpecification { configuration.doorbell }
    var runtimeDirectory: String { configuration.runtimeDirectory }
    var heartbeatMilliseconds: Int { configuration.heartbeatMilliseconds }
    var heartbeatMisses: Int { configuration.heartbeatMisses }
    var spinMicroseconds: Int? { configuration.spinMicroseconds }
    var connectTimeoutMilliseconds: Int { configuration.connectTimeoutMilliseconds }
    var unlinkTimeoutMilliseconds: Int { configuration.unlinkTimeoutMilliseconds }

    func section(_ side: Side) -> SectionSpecification { sections[Int(side.rawValue)] }

    /// - Throws: exit code 78, naming the key that is missing or does not fit.
    init(_ configuration: Configuration) throws(Diagnostic) {
        func missing(_ key: String) -> Diagnostic {
            Diagnostic(.badConfiguration, "configuration: `\(key)` is not set; add `\(key) = …` or --\(key)")
        }
        guard let side = configuration.side else { throw missing("side") }
        guard let sectionA = configuration.sectionA else { throw missing("section-a") }
        guard let sectionB = configuration.sectionB else { throw missing("section-b") }
        let opensA = configuration.opensA ?? configuration.channels / 2
        guard
            let geometry = SectionGeometry(
                channels: configuration.channels, ringCapacity: configuration.ringSize, opensA: opensA)
        else {
            throw Diagnostic(
                .badConfiguration,
                "configuration: opens-a = \(opensA) with channels = \(configuration.channels); "
                    + "opens-a may be 0 to the number of channels")
        }
        if sectionA.overlaps(sectionB) {
            throw Diagnostic(
                .badConfiguration,
                "configuration: section-a = \(sectionA.text) and section-b = \(sectionB.text) share memory; "
                    + "give each its own part with offset= and size=")
        }
        self.configuration = configuration
        self.side = side
        self.geometry = geometry
        sections = [sectionA, sectionB]
    }
}

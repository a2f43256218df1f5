// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import RingTransport
import USBIP

/// What `ringway status` prints: one document, as text for people or as JSON for programs.
final class StatusReport {
    let dataPath: DataPath
    /// What the sysfs worker found of the kernel's USB/IP drivers.
    let kernel: String

    init(_ dataPath: DataPath, kernel: String) {
        self.dataPath = dataPath
        self.kernel = kernel
    }

    @inline(never)
    func text(json: Bool) -> String { json ? jsonText() : plainText() }

    private var linkState: String {
        switch dataPath.link.phase {
        case .watching: return "watching"
        case .reset: return "waiting"
        case .ready: return "ready"
        case .up: return "up"
        case .stopped: return "stopped"
        }
    }

    /// Why the link is not up; nil when it is.
    private var waiting: String? {
        guard !dataPath.link.isUp else { return nil }
        return dataPath.link.reason.sentence(side: dataPath.settings.side, geometry: dataPath.settings.geometry)
    }

    private static func name(_ state: ChannelState) -> String {
        switch state {
        case .closed: return "closed"
        case .open: return "opening"
        case .accepted, .established: return "connected"
        case .finished: return "finishing"
        case .reset: return "resetting"
        case .refused: return "refused"
        }
    }

    /// Channels that are in use, or cannot be used any more.
    private var shownChannels: [Channel] {
        dataPath.link.isUp ? dataPath.channels.filter { $0.state != .closed || $0.fault != nil } : []
    }

    private var counterRows: [(StaticString, UInt64)] {
        let counters = dataPath.counters
        return [
            ("bytes-in", counters.bytesIn), ("bytes-out", counters.bytesOut),
            ("doorbells-rung", counters.doorbellsRung), ("doorbells-heard", counters.doorbellsHeard),
            ("doorbells-spurious", counters.doorbellsSpurious), ("doorbell-pauses", counters.doorbellPauses),
            ("connections-opened", counters.opened), ("connections-accepted", counters.accepted),
            ("connections-refused", counters.refused), ("connections-reset", counters.reset),
            ("peer-faults", counters.peerFaults), ("guard-refusals", counters.guardRefusals),
            ("connections-direct", counters.direct),
            ("times-up", dataPath.link.timesUp),
            ("wake-ups", counters.wakeUps),
        ]
    }

    @inline(never)
    private func plainText() -> String {
        let link = dataPath.link
        let lines = Lines()
        lines.add("side: \(dataPath.settings.side.name)")
        lines.add("link: \(linkState)")
        if let waiting { lines.add("waiting: \(waiting)") }
        lines.add("epoch: \(link.epoch)  peer epoch: \(link.acknowledged)")
        for section in dataPath.settings.sections {
            lines.add(
                "section \(section.side.name): \(section.place), \(section.bytes) bytes, memory \(section.memoryType)")
        }
        lines.add("doorbell: \(dataPath.doorbell.name)\(link.peerPolls ? " (the peer polls)" : "")")
        lines.add("guard: \(dataPath.settings.isGuarded ? "on" : "off")")
        lines.add(
            "privileges: no capability, system calls \(dataPath.isConfined ? "" : "not ")filtered, "
                + "sockets \(dataPath.isEnclosed ? "" : "not ")enclosed")
        lines.add("policy: \(dataPath.settings.policy?.path ?? "none")")
        lines.add("usb: \(kernel)")
        for (name, value) in counterRows { lines.add("\(String(text: name.utf8Start)): \(value)") }
        for channel in shownChannels { lines.add(line(channel)) }
        return lines.text
    }

    private func line(_ channel: Channel) -> Message {
        var line: Message = "channel \(channel.number): \(Self.name(channel.state)), port \(channel.port)"
        if let passed = dataPath.connections[channel.number] {
            line = line + ", \(passed.bytesIn) bytes in, \(passed.bytesOut) bytes out"
        }
        if let fault = channel.fault { line = line + ", fault: \(fault.sentence)" }
        return line
    }

    @inline(never)
    private func jsonText() -> String {
        let link = dataPath.link
        let writer = JSONWriter()
        writer.beginObject()
        writer.field("version", RingwayVersion.string)
        writer.field("side", dataPath.settings.side.name)
        writer.field("link", linkState)
        if let waiting { writer.field("waiting", waiting) }
        writer.field("epoch", UInt64(link.epoch))
        writer.field("peer-epoch", UInt64(link.acknowledged))
        writer.field("doorbell", dataPath.doorbell.name)
        writer.field("peer-polls", link.peerPolls)
        writer.field("guard", dataPath.settings.isGuarded)
        writer.field("filtered", dataPath.isConfined)
        writer.field("enclosed", dataPath.isEnclosed)
        writer.field("policy", dataPath.settings.policy?.path ?? "")
        writer.field("usb", kernel)
        writer.beginArray("sections")
        for section in dataPath.settings.sections {
            writer.beginObject()
            writer.field("side", section.side.name)
            writer.field("place", section.place)
            writer.field("bytes", UInt64(section.bytes))
            writer.field("memory", section.memoryType)
            writer.endObject()
        }
        writer.endArray()
        writer.beginObject("counters")
        for (name, value) in counterRows { writer.field(name, value) }
        writer.endObject()
        writer.beginArray("channels")
        for channel in shownChannels { write(channel, writer) }
        writer.endArray()
        writer.endObject()
        return writer.text + "\n"
    }

    @inline(never)
    private func write(_ channel: Channel, _ writer: JSONWriter) {
        writer.beginObject()
        writer.field("number", UInt64(channel.number))
        writer.field("state", Self.name(channel.state))
        writer.field("port", UInt64(channel.port))
        writer.field("incarnation", UInt64(channel.incarnation))
        if let connection = dataPath.connections[channel.number] {
            writer.field("bytes-in", connection.bytesIn)
            writer.field("bytes-out", connection.bytesOut)
        }
        if let fault = channel.fault { writer.field("fault", fault.sentence) }
        writer.endObject()
    }
}

/// Text, a line at a time.
private final class Lines {
    var text = ""

    @inline(never)
    func add(_ line: Message) { text += line.text + "\n" }
}

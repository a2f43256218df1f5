// SPDX-License-Identifier: Apache-2.0
import RingTransport
import USBIP

/// `ringway port`: what is attached, and how far it has come.
struct PortCommand {
    let agent: AgentClient
    let json: Bool
    var tree = SysfsTree()

    @inline(never)
    static func parse(_ arguments: [String]) throws(Diagnostic) -> PortCommand {
        let arguments = try CommandArguments.parse(arguments, command: "port", flags: ["--json"])
        return PortCommand(agent: arguments.agent, json: arguments.has("--json"))
    }

    @inline(never)
    func execute() throws(Diagnostic) -> ExitCode { Output.result(try text()) }

    func text() throws(Diagnostic) -> String {
        guard let ports = ImporterDriver(tree: tree).ports() else {
            throw Diagnostic(
                .noSuch,
                "listing ports: vhci_hcd is not loaded; `ringway attach` loads it, or add it to this guest's image")
        }
        let views = PortView.all(ports, agent, tree)
        return json ? jsonText(views) : plainText(views)
    }

    @inline(never)
    private func plainText(_ views: [PortView]) -> String {
        var text = "Imported USB devices\n====================\n"
        for view in views {
            text += compose("Port \(view.port.number < 10 ? "0" : "")\(view.port.number): \(view.sentence)\n")
            if let local = view.local {
                let drivers = view.drivers.joined(by: " ")
                text += compose("       \(local.record.identity)\(drivers.isEmpty ? "" : ", driver " + drivers)\n")
            }
            if let record = view.record {
                let rule = record.rule == "-" ? "" : ", by the rule " + record.rule
                text += compose(
                    "       \(view.local?.busID.text ?? "-") -> the peer's \(record.busID.text) (\(record.identity)), "
                        + "channel \(record.channel)\(rule)\n"
                )
            }
        }
        return text
    }

    @inline(never)
    private func jsonText(_ views: [PortView]) -> String {
        let writer = JSONWriter()
        writer.beginObject()
        writer.beginArray("ports")
        for view in views {
            writer.beginObject()
            writer.field("port", UInt64(view.port.number))
            writer.field("hub", view.port.isSuperSpeed ? "super-speed" : "high-speed")
            writer.field("state", view.stateName)
            writer.field("says", view.sentence)
            writer.field("local-busid", view.local?.busID.text ?? "")
            writer.field("drivers", view.drivers.joined(by: " "))
            if let record = view.record {
                writer.field("busid", record.busID.text)
                writer.field("identity", record.identity)
                writer.field("channel", UInt64(record.channel))
                writer.field("rule", record.rule == "-" ? "" : record.rule)
            }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text + "\n"
    }
}

/// A port that is in use, and all that this guest knows of it.
final class PortView {
    let port: ImporterPort
    let record: PortRecord?
    /// The device as this guest's kernel has it, once it has been enumerated.
    let local: LocalDevice?
    /// Drivers of its interfaces.
    let drivers: [String]
    /// How the peer answers on its channel; nil when the agent does not know the port's channel.
    let progress: ChannelProgress?

    private init(
        _ port: ImporterPort, _ record: PortRecord?, _ local: LocalDevice?, _ drivers: [String],
        _ progress: ChannelProgress?
    ) {
        self.port = port
        self.record = record
        self.local = local
        self.drivers = drivers
        self.progress = progress
    }

    static func all(_ ports: [ImporterPort], _ agent: AgentClient, _ tree: SysfsTree) -> [PortView] {
        ports.filter { $0.state != .free }.map { port in
            let record = PortRecord.read(agent.runtimeDirectory, port)
            // Its own names are not read: they wait for a lock that is held while the device is set up.
            let local = port.localBusID.flatMap { LocalDevice.read($0, tree, named: false) }
            return PortView(
                port, record, port.state == .used ? local : nil,
                local.map { drivers(of: $0.busID.text, tree) } ?? [],
                record.flatMap { agent.progress(channel: $0.channel) })
        }
    }

    private static func drivers(of device: String, _ tree: SysfsTree) -> [String] {
        var drivers: [String] = []
        for interface in LocalDevice.interfaceNames(of: device, tree) {
            guard let driver = SysfsTree.linkName(tree.path(interface, "driver")), !drivers.contains(driver)
            else { continue }
            drivers.append(driver)
        }
        return drivers
    }

    var stateName: String {
        switch port.state {
        case .free: return "free"
        case .notAddressed: return "not-addressed"
        case .used: return local == nil ? "addressed" : drivers.isEmpty ? "no-driver" : "in-use"
        case .inError: return "error"
        }
    }

    /// What state it is in, in words.
    var sentence: String {
        switch port.state {
        case .free: return "free"
        case .used where local != nil:
            let speed = compose("\(port.speed.name), \(port.speed.megabits) Mbit/s")
            return drivers.isEmpty
                ? compose("set up, but no driver has taken it (\(speed))") : compose("in use (\(speed))")
        case .used: return "addressed, not set up yet" + waiting
        case .notAddressed: return "attached, never addressed" + waiting
        case .inError: return "in error: the kernel has given the connection up; detach it"
        }
    }

    private var waiting: String {
        guard let progress else { return "" }
        if let seconds = progress.unansweredSeconds {
            return compose(": the peer has not answered a request for \(seconds) s")
        }
        if progress.requests == 0 {
            return ": the kernel has not asked the device anything yet; it sets up one device of a controller at a time"
        }
        return ": the peer answers"
    }
}

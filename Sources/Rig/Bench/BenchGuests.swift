// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The two guests of a benchmark: as every scenario's, but with a network card each, for TCP, and more memory.
final class BenchGuests {
    /// A disk that the importer has.
    struct Attached {
        let busID: String
        /// The disk's node in the importer.
        let node: String
        /// The USB device's.
        let device: String
        /// Where sysfs has that.
        let folder: String
    }

    let guests: ScenarioGuests
    let exporter: ScenarioGuest
    let importer: ScenarioGuest
    private(set) var attached: [BenchContender: Attached] = [:]
    /// Keyboards and sound devices that the importer has, by name (``attachEvents(_:)``).
    var players: [String: Attached] = [:]

    /// Room for a disk's content beside the image, and for huge pages.
    private static let memory = 320 << 20

    init(_ settings: BenchSettings, environment: RigEnvironment, folder: RunFolder) throws {
        guests = try ScenarioGuests(
            Self.scenario(settings, environment.architecture), environment: environment, folder: folder)
        (exporter, importer) = (guests.all[0], guests.all[1])
    }

    private static func scenario(_ settings: BenchSettings, _ architecture: GuestArchitecture) -> Scenario {
        let disks = BenchContender.allCases.map {
            EmulatedDevice(name: $0.disk, kind: .stick(settings.diskSize), bus: .xhci)
        }
        let players = settings.has(.events) ? BenchContender.withEvents.flatMap(\.eventDevices) : []
        func guest(_ role: GuestRole) -> GuestDeclaration {
            var guest = GuestDeclaration(name: role.rawValue, role: role)
            guest.setup.memory = memory
            guest.modules = ["virtio_net", "virtio_pci"]
            guest.isNetworked = true
            if role == .exporter { guest.devices = disks + players }
            let name = "ringway-guest-bench"
            if role == .importer { guest.builtFiles = [BuiltFile(name: name, path: "/usr/bin/\(name)")] }
            return guest
        }
        let agents = Statement(line: 0, action: .agent(.start, guests: []))
        return Scenario(
            name: "bench", title: "USB over the ring against USB/IP over TCP", architecture: architecture,
            guests: [guest(.exporter), guest(.importer)], items: [.statement(agents)])
    }

    /// Both guests up, each with its end of the network, the agents linked.
    func boot(_ settings: BenchSettings) throws {
        try guests.boot(guests.all, forced: false, waits: true, limit: .seconds(180))
        try exporter.demand(
            "load virtio_pci virtio_net xhci_pci usb_storage sd_mod usbip_host", "load drivers")
        try importer.demand("load virtio_pci virtio_net vhci_hcd usb_storage sd_mod", "load drivers")
        for guest in guests.all {
            let address = MachineNetwork.address(of: guest.declaration.role)
            try guest.demand(
                "ifconfig eth0 \(address) netmask 255.255.255.0 mtu \(settings.mtu) up", "set up the network")
        }
        let peer = MachineNetwork.address(of: .exporter)
        try importer.demand("wait_for 20 ping -c 1 -W 1 \(peer) >/dev/null", "reach the exporter by the network")
        try startAgents(configuration: settings.configuration)
    }

    /// - Parameter configuration: lines of the file besides the usual ones.
    func startAgents(configuration: [String]) throws {
        for guest in guests.all {
            let setup = AgentSetup(role: guest.declaration.role, setup: guest.setup)
            let lines = "cat >>/etc/ringway/ringway.conf <<END\n\(configuration.joined(separator: "\n"))\nEND\n"
            try guest.demand("\(setup.configure)\n\(lines)ringway config check", "configure the agent")
        }
        for guest in guests.all { try guest.demand(AgentSetup.start, "start the agent") }
        for guest in guests.all {
            try guest.demand(AgentSetup.waitForLink(seconds: 30), "see the link come up")
        }
    }

    func stopAgents() throws {
        for guest in guests.all { try guest.demand(AgentSetup.end(signal: "TERM"), "stop the agent") }
    }

    /// Exports the contender's disk and attaches it.
    func attach(_ contender: BenchContender) throws {
        let name = contender.rawValue
        let busID = try exporter.demand(contender.exportScript, "export the disk of \(name)")
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let printed = try importer.demand(contender.attachScript(busID), "attach the disk of \(name)")
        let nodes = printed.split(separator: "\n").last?.split(separator: " ").map(String.init) ?? []
        guard nodes.count == 3 else {
            throw RigError(
                tried: "attach the disk of \(contender.rawValue)", happened: "the guest names \(nodes) as its nodes",
                remedy: "read the importer's console in the run's folder")
        }
        attached[contender] = Attached(busID: busID, node: nodes[0], device: nodes[1], folder: nodes[2])
    }

    /// Detaches what `ringway export` has offered, and takes it back.
    func release(_ contender: BenchContender) throws {
        let disk = try disk(of: contender)
        let script = BenchContender.detachScript(of: contender.disk)
        try importer.demand(script, "detach the disk of \(contender.rawValue)")
        try exporter.demand(BenchContender.unexportScript(disk.busID), "take back the disk of \(contender.rawValue)")
        attached[contender] = nil
    }

    func disk(of contender: BenchContender) throws -> Attached {
        guard let disk = attached[contender] else {
            throw RigError(
                tried: "use the disk of \(contender.rawValue)", happened: "it is not attached",
                remedy: "correct the benchmark: attach it before")
        }
        return disk
    }

    /// Where the written bytes come from.
    static let content = "/tmp/content"

    /// Has `contender` do `work` once, with the agents' use of the processors where they are in the path.
    func measure(
        _ contender: BenchContender, _ work: BenchWork, phase: String, round: Int, named name: String? = nil
    ) throws -> BenchSample {
        let disk = try work.isEvent ? player(of: contender, for: work.kind) : disk(of: contender)
        let command = work.command(node: disk.node, device: disk.device, content: Self.content)
        let urbs = "echo urbs $(cat \(disk.folder)/urbnum)"
        let timed = "\(urbs)\nwords=$(\(command)) || exit\n\(urbs)\necho figure \"$words\""
        let purpose = "have \(contender.rawValue) do `\(command)`"
        let limit = Duration.seconds(300)
        guard contender != .tcp else {
            let text = try importer.demand(timed, purpose, timeLimit: limit)
            return BenchSample(
                phase: phase, round: round, contender: name ?? contender.rawValue, work: work,
                figure: try BenchLines(text).figure(), urbs: try BenchLines(text).urbs(), importer: nil,
                exporter: nil)
        }
        let before = try exporter.demand(AgentMeter.begin, "ask what the agent has used")
        let text = try importer.demand(
            "\(AgentMeter.begin)\n\(timed)\n\(AgentMeter.end)", purpose, timeLimit: limit)
        let after = try exporter.demand(AgentMeter.end, "ask what the agent has used")
        return BenchSample(
            phase: phase, round: round, contender: name ?? contender.rawValue, work: work,
            figure: try BenchLines(text).figure(), urbs: try BenchLines(text).urbs(),
            importer: try BenchLines(text).agentUse(),
            exporter: try BenchLines("\(before)\n\(after)").agentUse())
    }
}

/// The shell that asks what a guest's agent has used. What the asking takes lies outside of the span.
enum AgentMeter {
    /// Nanoseconds on a processor, user and system, of all of its processes, which have a thread each. /proc/PID/stat
    /// has the same time in ticks of 10 ms: too coarse for an idle agent.
    private static let time = """
        cpu() { for pid in $(pidof ringway); do cat /proc/$pid/schedstat; done 2>/dev/null \
        | awk '{ sum += $1 } END { printf "cpu %.0f\\n", sum }'; }

        """

    static let begin = time + "echo status \"$(ringway status --json)\"\ncpu"
    static let end = time + "cpu\necho status \"$(ringway status --json)\""
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// `ringway attach`: takes a device that the peer offers.
struct AttachCommand {
    let agent: AgentClient
    let rule: DeviceRule
    /// Again and again, whenever the peer offers it.
    let isStanding: Bool
    let waitMilliseconds: Int
    /// The port that it has to be; nil for any.
    let port: Int?
    var tree = SysfsTree()

    @inline(never)
    static func parse(_ arguments: [String]) throws(Diagnostic) -> AttachCommand {
        let arguments = try CommandArguments.parse(
            arguments, command: "attach", flags: ["--auto", "--no-wait"],
            values: ["-b|--busid", "-m|--match", "-r|--remote", "-w|--wait", "-p|--port"], words: 1)
        let text = try arguments.subject(["--busid", "--match"], "bus id of the peer, or --match RULE")
        guard let rule = DeviceRule(text), !rule.namesSerial else {
            throw Diagnostic(
                .usage, "attach: `\(text)` names no device of the peer; it must be a bus id (1-1.4) or VVVV:PPPP")
        }
        var seconds = arguments.has("--no-wait") ? 0 : 10
        if let wait = arguments.value("--wait") {
            guard let value = number(wait, in: 0...3600) else {
                throw Diagnostic(.usage, "attach: --wait \(wait) must be a number of seconds from 0 to 3600")
            }
            seconds = value
        }
        let port = arguments.value("--port").map { number($0, in: 0...65535) }
        if let port, port == nil {
            throw Diagnostic(.usage, "attach: --port \(arguments.value("--port") ?? "") must be a port's number")
        }
        return AttachCommand(
            agent: arguments.agent, rule: rule, isStanding: arguments.has("--auto"), waitMilliseconds: seconds * 1000,
            port: port ?? nil)
    }

    @inline(never)
    func execute() throws(Diagnostic) -> ExitCode {
        if isStanding {
            _ = try agent.obey("attach " + rule.text)
            return Output.result(compose("\(rule.text): attached whenever the peer offers it\n"))
        }
        let driver = ImporterDriver(tree: tree)
        let attachment = Attachment(agent: agent, driver: driver)
        var text = ""
        for busID in try devices() {
            let port = try attachment.attach(busID, port: self.port)
            text += compose("port \(port): \(busID.text)")
            let local = waitMilliseconds > 0 ? driver.awaitDevice(port, milliseconds: waitMilliseconds) : nil
            if let local { text += compose(" is \(local.text) here") }
            text += "\n"
            if waitMilliseconds > 0, local == nil {
                if driver.ports()?.first(where: { $0.number == port })?.state == .free {
                    throw Diagnostic(.unavailable, "\(busID.text) was let go while it was set up; see the agent's log")
                }
                Output.error(compose("ringway: port \(port) is not set up yet; see `ringway port`\n"))
            }
        }
        return Output.result(text)
    }

    private func devices() throws(Diagnostic) -> [BusID] {
        if case .busID(let busID) = rule.kind { return [busID] }
        let found = try ImportDialogue.deviceList(agent).filter { rule.matches($0.record) }.map { $0.record.busID }
        guard !found.isEmpty else {
            throw Diagnostic(
                .noSuch,
                "attaching \(rule.text): the peer offers no such device; `ringway list --remote` shows what it does")
        }
        return found
    }
}

extension ImporterDriver {
    /// Waits until the kernel has set up the device of a port and given it to its drivers.
    /// - Returns: its bus id in this guest; nil when that takes longer.
    func awaitDevice(_ port: Int, milliseconds: Int) -> BusID? {
        let deadline = Clock.microseconds() &+ UInt64(milliseconds) * 1000
        while true {
            let current = ports()?.first { $0.number == port }
            if let busID = current?.localBusID, current?.state == .used,
                FileSystem.exists(tree.path(busID.text, "driver"))
            {
                return busID
            }
            guard Clock.microseconds() < deadline, current?.state != .free else { return nil }
            _ = poll(nil, 0, 20)
        }
    }
}

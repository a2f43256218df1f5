// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// Attaching one of the peer's devices: a channel, the OP phase, and a port of vhci_hcd.
struct Attachment {
    let agent: AgentClient
    let driver: ImporterDriver
    var policy: Policy?

    /// How long something that may pass is tried again: a channel, or a device, that was just let go.
    static let retryMicroseconds: UInt64 = 2_000_000

    /// - Parameters:
    ///   - rule: the rule that wants it; "-" when a user does.  - wanted: the port that it has to be; nil for any.
    /// - Returns: the port.
    /// - Throws: 69 when the peer refuses or no port is free, 76, 77, 74.
    func attach(_ busID: BusID, rule: String = "-", port wanted: Int? = nil) throws(Diagnostic) -> Int {
        let deadline = Clock.microseconds() &+ Self.retryMicroseconds
        while true {
            do throws(Diagnostic) { return try attachOnce(busID, rule, wanted) } catch {
                guard error.mayPass, Clock.microseconds() < deadline else { throw error }
                _ = poll(nil, 0, 100)
            }
        }
    }

    private func attachOnce(_ busID: BusID, _ rule: String, _ wanted: Int?) throws(Diagnostic) -> Int {
        try driver.load()
        let connection = try agent.connect(port: ImportDialogue.port)
        // The kernel holds its own reference; ours would keep a dead connection's channel.
        defer { close(connection.socket) }
        let record = try ImportDialogue.request(busID, connection.socket)
        let port = try driver.attach(record, socket: connection.socket, port: wanted)
        PortRecord(
            busID: busID, identity: record.identity, devid: record.devid, channel: connection.channel, rule: rule
        ).write(agent.runtimeDirectory, port)
        return port
    }

    /// Attaches everything that a rule wants, that the peer offers, and that is not there yet.
    /// - Returns: whether nothing is left to do until something changes.
    func sweep(_ rules: [DeviceRule]) throws(Diagnostic) -> Bool {
        try driver.load()
        var held: [BusID] = []
        var settled = true
        for port in driver.ports() ?? [] where port.state != .free {
            guard let record = PortRecord.read(agent.runtimeDirectory, port) else { continue }
            held.append(record.busID)
            // Its end comes without an announcement while the kernel has not enumerated it.
            if port.state != .used { settled = false }
        }
        let offered = try ImportDialogue.deviceList(agent)
        for device in offered where !held.contains(device.record.busID) {
            guard let rule = rules.first(where: { $0.matches(device.record) }) else { continue }
            let interfaces = InterfaceDescriptors.all(device.interfaces)
            if let refusal = policy?.refusal(exports: false, device.record, interfaces, serial: nil) {
                Log.error("the rule \(rule.text) wants \(device.record.busID.text): \(refusal)")
                continue
            }
            do throws(Diagnostic) {
                let port = try attach(device.record.busID, rule: rule.text)
                Log.info("attached \(device.record.busID.text) (\(device.record.identity)) as port \(port)")
            } catch {
                Log.error("attaching by the rule \(rule.text): \(error.message)")
                settled = false
            }
        }
        // A rule that names a device which is neither here nor offered may mean one that is being let go.
        for rule in rules {
            guard case .busID(let busID) = rule.kind else { continue }
            if !held.contains(busID), !offered.contains(where: { $0.record.busID == busID }) { settled = false }
        }
        return settled
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// The rules that stand: what to export, and what to attach whenever the peer offers it. Kept in a file of the
/// runtime directory, so that an agent that is started again goes on with them.
final class RuleBook {
    enum Kind: Equatable {
        case export
        case attach
        /// An export that ends when the device is unplugged: what comes to its place is another one.
        case device
    }

    private(set) var exports: [DeviceRule] = []
    /// Those of `exports` that stand for one device.
    private(set) var devices: [DeviceRule] = []
    private(set) var attachments: [DeviceRule] = []
    let path: String

    /// - Parameter configured: rules of the configuration; they stand again after every start.
    init(path: String, configuredExports: [DeviceRule], configuredAttachments: [DeviceRule]) {
        self.path = path
        for line in (FileSystem.read(path) ?? "").parts(between: "\n") {
            let words = line.words
            guard words.count == 2, let rule = DeviceRule(words[1]) else { continue }
            if words[0] == "export" { insert(rule, .export) }
            if words[0] == "device" { insert(rule, .device) }
            if words[0] == "attach" { insert(rule, .attach) }
        }
        for rule in configuredExports { insert(rule, .export) }
        for rule in configuredAttachments { insert(rule, .attach) }
    }

    private func insert(_ rule: DeviceRule, _ kind: Kind) {
        if kind == .attach {
            if !attachments.contains(rule) { attachments.append(rule) }
            return
        }
        if kind == .export { devices.removeAll { $0 == rule } }
        if exports.contains(rule) { return }
        exports.append(rule)
        if kind == .device { devices.append(rule) }
    }

    func add(_ rule: DeviceRule, _ kind: Kind) {
        insert(rule, kind)
        save()
    }

    /// - Returns: whether there was such a rule.
    func remove(_ rule: DeviceRule, _ kind: Kind) -> Bool {
        let isKnown: Bool
        switch kind {
        case .export: isKnown = exports.contains(rule)
        case .attach: isKnown = attachments.contains(rule)
        case .device: isKnown = devices.contains(rule)
        }
        guard isKnown else { return false }
        if kind == .attach {
            attachments.removeAll { $0 == rule }
        } else {
            exports.removeAll { $0 == rule }
            devices.removeAll { $0 == rule }
        }
        save()
        return true
    }

    /// The device is gone.
    func removeDevice(_ busID: BusID) {
        if let rule = DeviceRule(busID.text) { _ = remove(rule, .device) }
    }

    /// Lines `export RULE`, `device BUSID` and `attach RULE`.
    var text: String {
        var text = ""
        for rule in exports { text += compose("\(devices.contains(rule) ? "device" : "export") \(rule.text)\n") }
        for rule in attachments { text += compose("attach \(rule.text)\n") }
        return text
    }

    /// A new file takes the old one's place: a crash leaves one or the other.
    private func save() {
        if !FileSystem.replace(path, text) {
            Log.error("keeping the rules in \(path): \(systemMessage(cs_errno())); a restart will not know them")
        }
    }
}

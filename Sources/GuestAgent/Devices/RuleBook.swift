// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// The rules that stand: what to export, and what to attach whenever the peer offers it. Kept in a file of the
/// runtime directory, so that an agent that is started again goes on with them.
final class RuleBook {
    enum Kind: Int, Equatable {
        case export
        /// An export that ends when the device is unplugged: what comes to its place is another one.
        case device
        case attach
    }

    /// How many stand at most: a file of as many is read again (`FileSystem.maximumText`).
    static let limit = 256

    private final class Entry {
        let kind: Kind
        let rule: DeviceRule

        init(_ kind: Kind, _ rule: DeviceRule) {
            self.kind = kind
            self.rule = rule
        }
    }

    private var entries: [Entry] = []
    var isFull: Bool { entries.count >= Self.limit }
    let path: String

    /// - Parameter configured: rules of the configuration; they stand again after every start.
    init(path: String, configuredExports: [DeviceRule], configuredAttachments: [DeviceRule]) {
        self.path = path
        switch FileSystem.text(path) {
        case .success(let text): for line in text.parts(between: "\n") { read(line) }
        case .failure(let failure) where failure.isAbsent: break
        case .failure(let failure):
            Log.error("reading the rules in \(path): \(systemMessage(failure.error)); they do not stand any more")
        }
        for rule in configuredExports { stand(rule, .export) }
        for rule in configuredAttachments { stand(rule, .attach) }
    }

    private func stand(_ rule: DeviceRule, _ kind: Kind) {
        if !insert(rule, kind) { Log.error("the rule \(rule.text) is one too many: \(Self.limit) stand already") }
    }

    private func read(_ line: String) {
        let words = line.words
        guard words.count == 2, let rule = DeviceRule(words[1]) else { return }
        for kind in [Kind.export, .device, .attach] where Self.name(kind) == words[0] { insert(rule, kind) }
    }

    private static func name(_ kind: Kind) -> String {
        switch kind {
        case .export: return "export"
        case .device: return "device"
        case .attach: return "attach"
        }
    }

    private func rules(_ fits: (Kind) -> Bool) -> [DeviceRule] {
        entries.filter { fits($0.kind) }.map { $0.rule }
    }

    /// Those of `device` among them.
    var exports: [DeviceRule] { rules { $0 != .attach } }
    var devices: [DeviceRule] { rules { $0 == .device } }
    var attachments: [DeviceRule] { rules { $0 == .attach } }

    /// One rule exports whatever fits it, or one device, never both: the former is more.
    @discardableResult
    private func insert(_ rule: DeviceRule, _ kind: Kind) -> Bool {
        for entry in entries where entry.rule == rule {
            if entry.kind == kind || entry.kind == .export && kind == .device { return true }
        }
        if kind == .export { entries.removeAll { $0.kind == .device && $0.rule == rule } }
        guard entries.count < Self.limit else { return false }
        entries.append(Entry(kind, rule))
        return true
    }

    /// - Returns: false when too many stand already.
    @discardableResult
    func add(_ rule: DeviceRule, _ kind: Kind) -> Bool {
        guard insert(rule, kind) else { return false }
        save()
        return true
    }

    /// - Parameter kind: `export` is also a device's.
    /// - Returns: whether there was such a rule.
    func remove(_ rule: DeviceRule, _ kind: Kind) -> Bool {
        let count = entries.count
        entries.removeAll { $0.rule == rule && ($0.kind == kind || $0.kind == .device && kind == .export) }
        guard entries.count < count else { return false }
        save()
        return true
    }

    /// The device is gone.
    func removeDevice(_ busID: BusID) {
        if let rule = DeviceRule(busID.text) { _ = remove(rule, .device) }
    }

    /// Lines `export RULE` and `device BUSID`, then `attach RULE`.
    var text: String {
        var text = ""
        for attaches in [false, true] {
            for entry in entries where (entry.kind == .attach) == attaches {
                text += compose("\(Self.name(entry.kind)) \(entry.rule.text)\n")
            }
        }
        return text
    }

    /// A new file takes the old one's place: a crash leaves one or the other.
    private func save() {
        if !FileSystem.replace(path, text) {
            Log.error("keeping the rules in \(path): \(systemMessage(cs_errno())); a restart will not know them")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// The rules that stand: what to export, and what to attach whenever the peer offers it. Kept in a file of the
/// runtime directory, so that an agent that is started again goes on with them.
struct RuleBook {
    enum Kind: Equatable {
        case export
        case attach

        var word: String { self == .export ? "export" : "attach" }
    }

    private(set) var exports: [DeviceRule] = []
    private(set) var attachments: [DeviceRule] = []
    let path: String

    /// - Parameter configured: rules of the configuration; they stand again after every start.
    init(path: String, configuredExports: [DeviceRule], configuredAttachments: [DeviceRule]) {
        self.path = path
        for line in (FileSystem.read(path) ?? "").parts(between: "\n") {
            let words = line.words
            guard words.count == 2, let rule = DeviceRule(words[1]) else { continue }
            if words[0] == Kind.export.word { insert(rule, .export) }
            if words[0] == Kind.attach.word { insert(rule, .attach) }
        }
        for rule in configuredExports { insert(rule, .export) }
        for rule in configuredAttachments { insert(rule, .attach) }
    }

    func rules(_ kind: Kind) -> [DeviceRule] { kind == .export ? exports : attachments }

    private mutating func insert(_ rule: DeviceRule, _ kind: Kind) {
        switch kind {
        case .export: if !exports.contains(rule) { exports.append(rule) }
        case .attach: if !attachments.contains(rule) { attachments.append(rule) }
        }
    }

    mutating func add(_ rule: DeviceRule, _ kind: Kind) {
        insert(rule, kind)
        save()
    }

    /// - Returns: whether there was such a rule.
    mutating func remove(_ rule: DeviceRule, _ kind: Kind) -> Bool {
        let count = rules(kind).count
        switch kind {
        case .export: exports.removeAll { $0 == rule }
        case .attach: attachments.removeAll { $0 == rule }
        }
        save()
        return rules(kind).count < count
    }

    /// Lines `export RULE` and `attach RULE`.
    var text: String {
        var text = ""
        for rule in exports { text += compose("export \(rule.text)\n") }
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

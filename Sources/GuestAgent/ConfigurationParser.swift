// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import RingTransport

/// `key = value` lines, `#` comments; and the same keys as flags.
enum ConfigurationParser {
    /// - Parameters:
    ///   - text: the file's text.
    ///   - path: its name, for messages.
    /// - Throws: exit code 78, naming file and line.
    static func parse(_ text: String, path: String, into configuration: Configuration) throws(Diagnostic) {
        var seen: [String] = []
        var number = 0
        for line in text.parts(between: "\n") {
            number += 1
            let content = line.withoutComment.trimmed
            if content.isEmpty { continue }
            let place = compose("\(path):\(number)")
            guard let parts = content.cut(at: "=") else {
                throw Diagnostic(.badConfiguration, "\(place): `\(content)` is no `key = value` line; correct it")
            }
            let key = parts.before.trimmed
            if seen.contains(key) {
                throw Diagnostic(.badConfiguration, "\(place): `\(key)` is set twice; remove one of the lines")
            }
            seen.append(key)
            try set(key, parts.behind.trimmed, place: place, code: .badConfiguration, in: configuration)
        }
    }

    /// Sets one key.
    /// - Parameters:
    ///   - place: what a message begins with.
    ///   - code: exit code for a key or value that is not valid: 78 in a file, 64 on the command line.
    static func set(
        _ key: String, _ value: String, place: String, code: ExitCode, in configuration: Configuration
    ) throws(Diagnostic) {
        let value = Value(text: value, key: key, place: place, code: code)
        switch KeyNumber(key) {
        case .side: configuration.side = try value.side()
        case .sectionA: configuration.sectionA = try value.section()
        case .sectionB: configuration.sectionB = try value.section()
        case .doorbell: configuration.doorbell = try value.doorbell()
        case .channels: configuration.channels = try value.number(1...256)
        case .ringSize: configuration.ringSize = try value.ringSize()
        case .opensA: configuration.opensA = try value.number(0...256)
        case .heartbeatMilliseconds: configuration.heartbeatMilliseconds = try value.number(10...60000)
        case .heartbeatMisses: configuration.heartbeatMisses = try value.number(2...1000)
        case .spinMicroseconds:
            configuration.spinMicroseconds = value.text == "auto" ? nil : try value.number(0...10000)
        case .connectTimeout: configuration.connectTimeoutMilliseconds = try value.number(100...600_000)
        case .unlinkTimeout: configuration.unlinkTimeoutMilliseconds = try value.number(1000...600_000)
        case .isGuarded: configuration.isGuarded = try value.isOn()
        case .isDirect: configuration.isDirect = try value.isOn()
        case .policy: configuration.policy = try value.path()
        case .exports: configuration.exports = try value.rules()
        case .attachments: configuration.attachments = try value.rules(ofPeer: true)
        case .group: configuration.group = try value.number(0...4_294_967_294)
        case .runtimeDirectory: configuration.runtimeDirectory = try value.runtimeDirectory()
        case nil: throw Diagnostic(code, "\(place): there is no key `\(key)`; `ringway help agent` lists the keys")
        }
    }
}

/// A key by its place in `Configuration.keys`. (Comparing a text with each of eighteen takes a kilobyte of code.)
private enum KeyNumber: Int {
    case side, sectionA, sectionB, doorbell, channels, ringSize, opensA, heartbeatMilliseconds, heartbeatMisses,
        spinMicroseconds, connectTimeout, unlinkTimeout, isGuarded, isDirect, policy, exports, attachments, group,
        runtimeDirectory

    init?(_ name: String) {
        var number = 0
        for key in Configuration.keys {
            if key.name == name { break }
            number += 1
        }
        self.init(rawValue: number)
    }
}

/// One key's value as it was written, and what to say when it is not valid.
private struct Value {
    let text: String
    let key: String
    let place: String
    let code: ExitCode

    private func bad(_ wanted: Message) -> Diagnostic {
        Diagnostic(code, "\(place): \(key) = \(text) is not valid; it must be \(wanted.text)")
    }

    private func bad(_ error: TransportError) -> Diagnostic {
        Diagnostic(code, "\(place): \(key): \(error.message)")
    }

    func side() throws(Diagnostic) -> Side {
        guard text == "a" || text == "b" else { throw bad("a or b") }
        return text == "a" ? .a : .b
    }

    func isOn() throws(Diagnostic) -> Bool {
        guard text == "on" || text == "off" else { throw bad("on or off") }
        return text == "on"
    }

    func section() throws(Diagnostic) -> SectionSpecification {
        do throws(TransportError) { return try SectionSpecification(parsing: text) } catch { throw bad(error) }
    }

    func doorbell() throws(Diagnostic) -> DoorbellSpecification {
        do throws(TransportError) { return try DoorbellSpecification.parse(text) } catch { throw bad(error) }
    }

    func number(_ range: ClosedRange<Int>) throws(Diagnostic) -> Int {
        guard let number = RingTransport.number(text, in: range) else {
            throw bad("a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func ringSize() throws(Diagnostic) -> Int {
        guard let size = byteCount(text), (4096...(1 << 30)).contains(size), size & (size - 1) == 0 else {
            throw bad("a power of two from 4K to 1G")
        }
        return size
    }

    func path() throws(Diagnostic) -> String {
        guard text.rest(after: "/") != nil else { throw bad("an absolute path") }
        return text
    }

    /// - Parameter ofPeer: rules for the other side's devices, whose serial numbers do not cross the wire.
    func rules(ofPeer: Bool = false) throws(Diagnostic) -> [DeviceRule] {
        var rules: [DeviceRule] = []
        for word in text.words {
            guard let rule = DeviceRule(word), !(ofPeer && rule.namesSerial) else {
                throw bad(ofPeer ? "bus ids or VVVV:PPPP, with blanks between them" : Message(DeviceRule.form))
            }
            rules.append(rule)
        }
        return rules
    }

    func runtimeDirectory() throws(Diagnostic) -> String {
        guard Configuration.isRuntimeDirectory(text) else { throw bad(Message(Configuration.runtimeDirectoryForm)) }
        return text
    }
}

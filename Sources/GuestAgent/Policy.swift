// SPDX-License-Identifier: Apache-2.0
import RingTransport
import USBIP

/// Which devices may cross: lines of `allow` and `deny`. A device is allowed when each of its interfaces is, and for
/// each interface the first line that fits decides; what no line fits is denied.
final class Policy: Sendable {
    static let defaultPath = "/etc/ringway/policy"

    let path: String
    let lines: [PolicyLine]

    private init(path: String, lines: [PolicyLine]) {
        self.path = path
        self.lines = lines
    }

    /// - Parameter path: nil for the default file, which need not be there.
    /// - Returns: nil when there is none: then everything is allowed.
    /// - Throws: 78 for what it holds, naming file and line; what keeps it from being read.
    static func load(_ path: String?) throws(Diagnostic) -> Policy? {
        let name = path ?? defaultPath
        switch FileSystem.text(name) {
        case .success(let text): return try parse(text, path: name)
        case .failure(let failure):
            // A link that leads nowhere is a policy that cannot be read.
            if path == nil, failure.isAbsent, linkTarget(name) == nil { return nil }
            throw Diagnostic.system("reading the policy \(name)", failure.error, "check `policy`")
        }
    }

    static func parse(_ text: String, path: String) throws(Diagnostic) -> Policy {
        var lines: [PolicyLine] = []
        var number = 0
        for line in text.parts(between: "\n") {
            number += 1
            let content = line.withoutComment.trimmed
            if content.isEmpty { continue }
            guard number <= InterfaceRules.lineLimit, let line = PolicyLine(content.words, number: number) else {
                throw Diagnostic(
                    .badConfiguration,
                    "\(path):\(number): `\(content)` must be \(PolicyLine.form); at most "
                        + "\(InterfaceRules.lineLimit) lines are read")
            }
            lines.append(line)
        }
        return Policy(path: path, lines: lines)
    }

    /// What is left of the policy for one device.
    /// - Parameters:
    ///   - exports: whether this guest offers the device; otherwise it uses one of the peer's.
    ///   - serial: nil when it is not known, as of a peer's device: then an `allow` that names one does not fit, and a
    ///     `deny` does; the other way round when somebody who knew it has already allowed the device (`isChecked`).
    @inline(never)
    func rules(
        exports: Bool, _ record: DeviceRecord, serial: String?, isChecked: Bool = false
    ) -> InterfaceRules {
        var rules: [UInt64] = []
        for line in lines where line.exports == nil || line.exports == exports {
            if let device = line.device {
                guard device.matches(record, serial: serial) else { continue }
                if serial == nil, device.namesSerial, line.allows != isChecked { continue }
            }
            rules.append(
                InterfaceRules.rule(line.interface, mask: line.mask, line: line.number, denies: !line.allows))
        }
        return InterfaceRules(rules)
    }

    /// Why a device may not cross, in words; nil when it may, as far as its interfaces are known.
    /// - Parameter interfaces: what they say that they are, as in `InterfaceRules`.
    @inline(never)
    func refusal(
        exports: Bool, _ record: DeviceRecord, _ interfaces: [UInt32], serial: String?
    ) -> String? {
        let rules = rules(exports: exports, record, serial: serial)
        var line = rules.denial(nil)
        for interface in interfaces where line == nil { line = rules.denial(interface) }
        guard let line else { return nil }
        return line == 0 ? compose("no line of \(path) allows it") : compose("\(path):\(line) denies it")
    }
}

/// `allow` or `deny`, then what it is about, in any order.
final class PolicyLine: Sendable {
    static let form =
        "allow or deny, then any of: export or import, a device "
        + "(1-1.4, VVVV:PPPP, VVVV:PPPP:SERIAL, serial:SERIAL), class=CC[:SS[:PP]] in hexadecimal"

    let number: Int
    let allows: Bool
    /// nil: both ways.
    let exports: Bool?
    let device: DeviceRule?
    /// As in `InterfaceRules`.
    let interface: UInt32
    let mask: UInt32

    /// - Parameter number: the line's, from 1.
    init?(_ words: [String], number: Int) {
        guard let verb = words.first, verb == "allow" || verb == "deny" else { return nil }
        var exports: Bool?
        var device: DeviceRule?
        var interface: UInt32 = 0
        var mask: UInt32 = 0
        for word in words.dropFirst() {
            if word == "export" || word == "import" {
                guard exports == nil else { return nil }
                exports = word == "export"
            } else if let digits = word.rest(after: "class=") {
                guard mask == 0, let found = Self.interface(digits) else { return nil }
                (interface, mask) = found
            } else {
                guard device == nil, let rule = DeviceRule(word) else { return nil }
                device = rule
            }
        }
        self.number = number
        allows = verb == "allow"
        self.exports = exports
        self.device = device
        self.interface = interface
        self.mask = mask
    }

    /// `CC`, `CC:SS` or `CC:SS:PP`.
    private static func interface(_ text: String) -> (UInt32, UInt32)? {
        var interface: UInt32 = 0
        var mask: UInt32 = 0
        var shift: UInt32 = 24
        for part in text.parts(between: ":") {
            guard shift > 0, part.byteCount == 2, let value = unsigned(part, radix: 16) else { return nil }
            shift -= 8
            interface |= UInt32(truncatingIfNeeded: value) << shift
            mask |= 0xFF << shift
        }
        return (interface, mask)
    }
}

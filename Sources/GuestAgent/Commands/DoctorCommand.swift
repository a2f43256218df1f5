// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// One thing that `ringway doctor` looked at.
final class Finding {
    enum Level {
        case fine
        /// It works, but not as well, or not for everything.
        case caution
        /// It does not work.
        case fault

        var word: String {
            switch self {
            case .fine: return "ok"
            case .caution: return "note"
            case .fault: return "FAULT"
            }
        }
    }

    let level: Level
    let subject: String
    let says: String
    /// What to do about it; "" when nothing.
    let remedy: String

    @inline(never)
    init(level: Level, subject: String, says: String, remedy: String = "") {
        self.level = level
        self.subject = subject
        self.says = says
        self.remedy = remedy
    }
}

/// `ringway doctor`: looks at everything that this guest needs, and says what to do about what is missing.
struct DoctorCommand {
    let agent: AgentClient
    let json: Bool
    var tree = SysfsTree()

    @inline(never)
    static func parse(_ arguments: [String]) throws(Diagnostic) -> DoctorCommand {
        let arguments = try CommandArguments.parse(arguments, command: "doctor", flags: ["--json"])
        return DoctorCommand(agent: arguments.agent, json: arguments.has("--json"))
    }

    /// - Returns: success when nothing is at fault.
    @inline(never)
    func execute() throws(Diagnostic) -> ExitCode {
        let findings = permissions() + KernelFindings(tree: tree).all() + AgentFindings(agent: agent).all() + ports()
        let isFine = !findings.contains { $0.level == .fault }
        let written = Output.result(json ? jsonText(findings) : plainText(findings))
        if written != .success { return written }
        return isFine ? .success : .unavailable
    }

    @inline(never)
    private func plainText(_ findings: [Finding]) -> String {
        var text = ""
        for finding in findings {
            let word = finding.level.word
            let blanks = String(bytes: [UInt8](repeating: 0x20, count: 7 - word.byteCount)[...])
            text += compose("\(word)\(blanks)\(finding.subject): \(finding.says)\n")
            if !finding.remedy.isEmpty { text += compose("       -> \(finding.remedy)\n") }
        }
        return text
    }

    @inline(never)
    private func jsonText(_ findings: [Finding]) -> String {
        let writer = JSONWriter()
        writer.beginObject()
        writer.beginArray("findings")
        for finding in findings {
            writer.beginObject()
            writer.field("level", finding.level == .fault ? "fault" : finding.level.word)
            writer.field("subject", finding.subject)
            writer.field("says", finding.says)
            writer.field("remedy", finding.remedy)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text + "\n"
    }

    private func permissions() -> [Finding] {
        if geteuid() == 0 { return [Finding(level: .fine, subject: "permissions", says: "root")] }
        return [
            Finding(
                level: .fault, subject: "permissions", says: "not root: sysfs and the agent's sockets refuse this user",
                remedy: "run as root")
        ]
    }

    private func ports() -> [Finding] {
        PortView.all(ImporterDriver(tree: tree).ports() ?? [], agent, tree).map { view in
            let subject = compose("port \(view.port.number)")
            switch view.stateName {
            case "in-use": return Finding(level: .fine, subject: subject, says: view.sentence)
            case "no-driver":
                return Finding(
                    level: .caution, subject: subject, says: view.sentence,
                    remedy: "load the driver of its class in this guest")
            case "error":
                return Finding(
                    level: .fault, subject: subject, says: view.sentence,
                    remedy: compose("ringway detach \(view.port.number)"))
            default:
                let isMute = view.progress?.unansweredSeconds.map { $0 >= 5 } ?? false
                return Finding(
                    level: isMute ? .fault : .caution, subject: subject, says: view.sentence,
                    remedy: isMute
                        ? "look at the agent and the device on the other side; the port is freed by itself" : "")
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// What the kernel has and lacks.
struct KernelFindings {
    let tree: SysfsTree

    func all() -> [Finding] {
        var findings: [Finding] = []
        let release = FileSystem.read("/proc/sys/kernel/osrelease")?.head(before: "\n") ?? "?"
        findings.append(
            FileSystem.exists(tree.root + "/bus/usb")
                ? Finding(level: .fine, subject: "USB", says: "the kernel has it")
                : Finding(
                    level: .fault, subject: "USB", says: "the kernel shows no USB bus",
                    remedy: "load usbcore, mount sysfs, or use a kernel with CONFIG_USB"))
        findings.append(
            driver(
                "usbip-host", loaded: ExporterDriver(tree: tree).isLoaded, release, purpose: "export devices",
                option: "CONFIG_USBIP_HOST"))
        findings.append(
            driver(
                "vhci-hcd", loaded: ImporterDriver(tree: tree).isLoaded, release, purpose: "attach devices",
                option: "CONFIG_USBIP_VHCI_HCD"))
        if let events = KernelEvents.open() {
            close(events.socket)
            findings.append(Finding(level: .fine, subject: "plugging in", says: "the kernel announces devices"))
        } else {
            findings.append(
                Finding(
                    level: .caution, subject: "plugging in",
                    says: compose("the kernel announces nothing (\(systemMessage(cs_errno())))"),
                    remedy: "use a kernel with CONFIG_NET, and run in the guest's own network namespace"))
        }
        return findings
    }

    private func driver(
        _ name: String, loaded: Bool, _ release: String, purpose: String, option: String
    ) -> Finding {
        let subject = "module " + name
        if loaded { return Finding(level: .fine, subject: subject, says: "loaded") }
        let list = SysfsFile.bytes(compose("/lib/modules/\(release)/modules.dep"), limit: 4 << 20) ?? []
        let isThere = String(bytes: list[...]).parts(between: "\n").contains {
            ($0.head(before: ":").cut(atLast: "/")?.behind.head(before: ".") ?? "") == name
        }
        if isThere {
            let canLoad = KernelModule.programs.contains { FileSystem.isExecutable($0) }
            return Finding(
                level: canLoad ? .fine : .caution, subject: subject, says: "there, not loaded",
                remedy: canLoad ? "" : "load it at boot: this guest has no modprobe")
        }
        return Finding(
            level: .caution, subject: subject, says: compose("not there: this guest cannot \(purpose)"),
            remedy: compose("if it should, add the module to its image, or use a kernel with \(option)"))
    }
}

/// What the agent sees.
struct AgentFindings {
    let agent: AgentClient

    func all() -> [Finding] {
        let text: String
        do throws(Diagnostic) { text = String(bytes: try agent.askAgent(.status)[...]) } catch {
            return [Finding(level: .fault, subject: "agent", says: error.message, remedy: "start `ringway agent`")]
        }
        var findings = [Finding(level: .fine, subject: "agent", says: "runs")]
        var waiting = ""
        for line in text.parts(between: "\n") { if let rest = line.rest(after: "waiting: ") { waiting = rest } }
        for line in text.parts(between: "\n") { findings += finding(line, waiting) }
        return findings
    }

    /// - Parameter line: of `ringway status`.
    private func finding(_ line: String, _ waiting: String) -> [Finding] {
        if let state = line.rest(after: "link: ") {
            return [
                state == "up"
                    ? Finding(level: .fine, subject: "link", says: "up")
                    : Finding(
                        level: .fault, subject: "link", says: compose("\(state): \(waiting)"),
                        remedy: "look at the agent on the other side")
            ]
        }
        if line.rest(after: "section ") != nil, let type = line.cut(atLast: " ")?.behind {
            let subject = "memory of " + line.head(before: ":")
            return [
                type == "cached"
                    ? Finding(level: .fine, subject: subject, says: "cached")
                    : Finding(
                        level: .caution, subject: subject, says: compose("\(type): every byte costs more"),
                        remedy: "map it through ringway_uio, which maps it cached")
            ]
        }
        if let bell = line.rest(after: "doorbell: ") {
            let polls = bell.rest(after: "none") != nil
            return [
                Finding(
                    level: polls ? .caution : .fine, subject: "doorbell", says: polls ? "none: the agent polls" : bell,
                    remedy: polls ? "give it one with `doorbell`, so that it sleeps when there is nothing to do" : "")
            ]
        }
        return []
    }
}

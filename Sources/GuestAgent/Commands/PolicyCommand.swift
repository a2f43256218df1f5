// SPDX-License-Identifier: Apache-2.0
import RingTransport
import USBIP

/// `ringway policy check`: reads a policy, and says what it means for the devices of this guest.
enum PolicyCommand {
    @inline(never)
    static func execute(_ arguments: [String]) throws(Diagnostic) -> ExitCode {
        guard let command = arguments.first, command == "check" else {
            throw Diagnostic(.usage, "policy: the only command is `ringway policy check`")
        }
        let own = try CommandArguments.parse(Array(arguments.dropFirst()), command: "policy", words: 1)
        var path = own.words.first
        if path == nil { path = try AgentArguments.parse([], command: "policy").policy }
        guard let policy = try Policy.load(path) else {
            return Output.result(compose("there is no \(Policy.defaultPath): every device may cross\n"))
        }
        var text = compose("\(policy.path): \(policy.lines.count) lines; what none of them fits is denied\n")
        for device in LocalDevice.own() where !device.isHub {
            let refusal = device.refusal(policy, SysfsTree())
            text += compose("\(device.busID.text) \(device.title): \(refusal ?? "may be exported")\n")
        }
        return Output.result(text)
    }
}

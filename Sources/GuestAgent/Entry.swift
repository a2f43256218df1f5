// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import RingTransport

/// The program's entry, called by the C `main` of both builds.
@c(ringway_main)
public func ringwayMain(_ argc: Int32, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32 {
    var arguments: [String] = []
    for i in 1..<max(1, Int(argc)) {
        if let argument = argv[i] { arguments.append(String(terminated: argument)) }
    }
    do throws(Diagnostic) {
        return try dispatch(arguments).rawValue
    } catch {
        error.report()
        return error.exitCode.rawValue
    }
}

/// Chooses the command.
func dispatch(_ arguments: [String]) throws(Diagnostic) -> ExitCode {
    guard let command = arguments.first else {
        Output.error(Help.general)
        return .usage
    }
    let rest = Array(arguments.dropFirst())
    // What stands behind `--` is another program's.
    for argument in rest {
        if argument == "--" { break }
        if argument == "--help" || argument == "-h" { return try help([command]) }
    }
    switch command {
    case "agent": return runAgent(try CheckedConfiguration(try AgentArguments.parse(rest)))
    case "run": return try RunCommand.parse(rest).execute()
    case "list": return try ListCommand.parse(rest).execute()
    case "export": return try ExportCommand.parse(rest).execute()
    case "unexport": return try UnexportCommand.parse(rest).execute()
    case "attach": return try AttachCommand.parse(rest).execute()
    case "detach": return try DetachCommand.parse(rest).execute()
    case "port": return try PortCommand.parse(rest).execute()
    case "doctor": return try DoctorCommand.parse(rest).execute()
    case "status": return try StatusCommand.parse(rest).execute()
    case "policy": return try PolicyCommand.execute(rest)
    case "config": return try configCheck(rest)
    case "version", "--version": return try version(rest)
    case "help", "--help", "-h": return try help(rest)
    default:
        throw Diagnostic(.usage, "there is no command `\(command)`; `ringway help` lists the commands")
    }
}

private func help(_ arguments: [String]) throws(Diagnostic) -> ExitCode {
    if arguments.count > 1 { throw unexpected(arguments[1], "help") }
    let topic = arguments.first ?? ""
    guard let text = Help.text(topic) else {
        throw Diagnostic(.usage, "there is no command `\(topic)`; `ringway help` lists the commands")
    }
    return Output.result(text)
}

private func version(_ arguments: [String]) throws(Diagnostic) -> ExitCode {
    if arguments.isEmpty {
        let text = compose("ringway \(RingwayVersion.string), section layout \(SectionLayout.version)\n")
        return Output.result(text)
    }
    for argument in arguments where argument != "--json" { throw unexpected(argument, "version") }
    let writer = JSONWriter()
    writer.beginObject()
    writer.field("version", RingwayVersion.string)
    writer.field("layout", UInt64(SectionLayout.version))
    writer.endObject()
    return Output.result(writer.text + "\n")
}

private func configCheck(_ arguments: [String]) throws(Diagnostic) -> ExitCode {
    guard let command = arguments.first, command == "check" else {
        throw Diagnostic(.usage, "config: the only command is `ringway config check`")
    }
    let checked = try CheckedConfiguration(try AgentArguments.parse(Array(arguments.dropFirst()), command: "config"))
    let configuration = checked.configuration
    let text: Message = """
        side = \(checked.side.name)
        section-a = \(checked.section(.a).text)
        section-b = \(checked.section(.b).text)
        doorbell = \(checked.doorbell.text)
        channels = \(checked.geometry.channels)
        ring-size = \(checked.geometry.ringCapacity)
        opens-a = \(checked.geometry.opensA)
        heartbeat-ms = \(configuration.heartbeatMilliseconds)
        heartbeat-misses = \(configuration.heartbeatMisses)
        spin-us = \(configuration.spinMicroseconds.map { compose("\($0)") } ?? "auto")
        connect-timeout-ms = \(configuration.connectTimeoutMilliseconds)
        unlink-timeout-ms = \(configuration.unlinkTimeoutMilliseconds)
        guard = \(configuration.isGuarded ? "on" : "off")
        direct = \(configuration.isDirect ? "on" : "off")
        policy = \(configuration.policy ?? Policy.defaultPath + ", if it is there")
        export = \(configuration.exports.map { $0.text }.joined(by: " "))
        attach = \(configuration.attachments.map { $0.text }.joined(by: " "))
        group = \(configuration.group)
        runtime-dir = \(configuration.runtimeDirectory)
        # each section needs \(checked.geometry.sectionSize) bytes

        """
    return Output.result(text.text)
}

/// An argument that a command does not know.
func unexpected(_ argument: String, _ command: String) -> Diagnostic {
    Diagnostic(.usage, "\(command): unknown argument `\(argument)`; see `ringway help \(command)`")
}

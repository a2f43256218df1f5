// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing
import USBIP

@testable import GuestAgent

@Suite struct CommandArgumentsTests {
    private static func parse(_ arguments: [String]) throws -> CommandArguments {
        try CommandArguments.parse(
            arguments, command: "try", flags: ["-f|--flag", "--other"], values: ["-v|--value", "--name"], words: 2)
    }

    @Test func everyForm() throws {
        let all = try Self.parse([
            "one", "-f", "-v", "--flag", "two", "--name=a=b", "--runtime-dir", "/x",
        ])
        #expect(all.words == ["one", "two"])
        #expect(all.has("--flag") && !all.has("--other") && !all.has("-f"))
        // What follows a name is its value, whatever it looks like.
        #expect(all.value("--value") == "--flag" && all.value("--name") == "a=b" && all.value("-v") == nil)
        #expect(all.agent.runtimeDirectory == "/x")
        let none = try Self.parse([])
        #expect(none.words.isEmpty && none.value("--value") == nil && none.agent.runtimeDirectory == "/run/ringway")
        #expect(try Self.parse(["--value="]).value("--value") == "")
    }

    @Test(arguments: [
        ["a", "b", "c"], ["--value"], ["-v"], ["--value=x", "--name"], ["--vlaue", "x"], ["--flag=yes"], ["--flag="],
        ["-f=1"], ["-v=1"], ["-"], ["--"], ["---"], ["--=x"], ["-f|--flag"], ["-x"], ["-fv"], ["--VALUE=x"],
        ["--value=x", "--value=x"], ["-v", "x", "--value=y"], ["--name", "", "--name", ""],
        ["--runtime-dir"], ["--runtime-dir", "relative"], ["--runtime-dir="],
        ["--runtime-dir=/" + String(repeating: "x", count: 79)],
    ])
    func bad(_ arguments: [String]) throws {
        let error = try #require(diagnostic { try Self.parse(arguments) })
        #expect(error.exitCode == .usage)
        #expect(error.message.hasPrefix("try: ") && !error.message.contains("\n"))
    }

    @Test func oneSubject() throws {
        func subject(_ arguments: [String]) throws -> String {
            try Self.parse(arguments).subject(["--value", "--name"], "thing")
        }
        for good in [["x"], ["--value=x"], ["-v", "x"], ["--name", "x"]] { #expect(try subject(good) == "x") }
        for bad in [
            [], ["--flag"], ["x", "y"], ["x", "--value=x"], ["--value=x", "--name=x"],
        ] {
            let error = diagnostic { try subject(bad) }
            #expect(error?.exitCode == .usage && error?.message.contains("one thing") == true, "\(bad)")
        }
    }

    // MARK: The commands

    @Test func goodCommands() throws {
        for words in [["1-1.4"], ["-b", "1-1.4"], ["--busid=1-1.4"], ["--busid", "1-1.4"]] {
            #expect(try ExportCommand.parse(words).rule.text == "1-1.4")
            #expect(try !ExportCommand.parse(words).isStanding)
            #expect(try UnexportCommand.parse(words).rule.text == "1-1.4")
            #expect(try AttachCommand.parse(words).rule.text == "1-1.4")
        }
        for words in [["-m", "46F4:0001"], ["--match=46f4:0001"]] {
            #expect(try ExportCommand.parse(words).isStanding)
            #expect(try ExportCommand.parse(words).rule.text == "46f4:0001")
            #expect(try UnexportCommand.parse(words).rule.text == "46f4:0001")
            #expect(try AttachCommand.parse(words).rule.text == "46f4:0001")
        }
        #expect(try ExportCommand.parse(["serial:x"]).rule.text == "serial:x")
        let plain = try AttachCommand.parse(["1-1"])
        #expect(!plain.isStanding && plain.waitMilliseconds == 10_000 && plain.port == nil)
        // As with usbip, the peer may have a name; there is one only.
        let full = try AttachCommand.parse(["-r", "host", "-b", "1-1", "--auto", "-w", "3600", "-p", "65535"])
        #expect(full.isStanding && full.waitMilliseconds == 3_600_000 && full.port == 65535)
        #expect(try AttachCommand.parse(["--no-wait", "1-1"]).waitMilliseconds == 0)
        #expect(try AttachCommand.parse(["--no-wait", "--wait=2", "1-1"]).waitMilliseconds == 2000)
        guard case .port(7) = try DetachCommand.parse(["7"]).subject,
            case .port(0) = try DetachCommand.parse(["--port=0"]).subject,
            case .port(65535) = try DetachCommand.parse(["-p", "65535"]).subject,
            case .rule(let busID) = try DetachCommand.parse(["1-1"]).subject,
            case .rule(let identity) = try DetachCommand.parse(["46F4:0001"]).subject
        else {
            Issue.record("another subject")
            return
        }
        #expect(busID.text == "1-1" && identity.text == "46f4:0001")
        let list = try ListCommand.parse(["-r", "host", "--json"])
        #expect(list.remote && list.json && !list.parsable)
        #expect(try ListCommand.parse(["-l", "-p"]).parsable && !ListCommand.parse(["--local"]).remote)
        #expect(try PortCommand.parse(["--json"]).json && !PortCommand.parse([]).json)
        #expect(try DoctorCommand.parse(["--json"]).json && !DoctorCommand.parse([]).json)
    }

    /// Everything that is wrong with these commands is one line on stderr, nothing on stdout, and 64.
    @Test(arguments: [
        ["export"], ["export", "usb1"], ["export", ""], ["export", "1-1", "1-2"], ["export", "--busid"],
        ["export", "--busid", "1-1", "--match", "46f4:0001"], ["export", "1-1", "--match=46f4:0001"],
        ["export", "--match", "46f4"], ["export", "--auto", "1-1"], ["export", "--json", "1-1"],
        ["unexport"], ["unexport", "all"], ["unexport", "-b", "1-1", "-m", "46f4:0001"], ["unexport", "1-1", "1-1"],
        ["attach"], ["attach", "46f4"], ["attach", "serial:x"], ["attach", "--match", "46f4:0001:x"],
        ["attach", "1-1", "--wait", "-1"], ["attach", "1-1", "--wait", "3601"], ["attach", "1-1", "--wait="],
        ["attach", "1-1", "--port", "65536"], ["attach", "1-1", "--port", "x"], ["attach", "1-1", "--port="],
        ["attach", "host", "1-1"], ["attach", "-b", "1-1", "-m", "46f4:0001"], ["attach", "1-1", "--auto=1"],
        ["detach"], ["detach", "65536"], ["detach", "-1"], ["detach", "serial:x"], ["detach", "--port", "1-1"],
        ["detach", "1", "--port=2"], ["detach", "46f4:0001:x"], ["detach", "all"],
        ["list", "host"], ["list", "--local", "host"], ["list", "-r", "host", "more"], ["list", "--yaml"],
        ["port", "1"], ["port", "--all"], ["doctor", "now"], ["doctor", "--fix"], ["doctor", "--runtime-dir", "x"],
    ])
    func badCommands(_ arguments: [String]) throws {
        try RingwayProgram.expectUsageError(arguments, "ringway: \(arguments[0]): ")
    }

    /// Without an agent every command that needs one says so, with 69.
    @Test(arguments: [
        ["export", "1-1"], ["export", "--match", "1-1"], ["unexport", "1-1"], ["attach", "--auto", "1-1"],
        ["list", "--remote"],
    ])
    func withoutAnAgent(_ arguments: [String]) throws {
        let folder = try ScratchFolder()
        var program = RingwayProgram()
        program.arguments = arguments + ["--runtime-dir", folder.path]
        let result = try program.run()
        #expect(result.status == ExitCode.unavailable.rawValue)
        #expect(result.output == "" && result.errors.contains("no agent is running"), "\(result.errors)")
    }
}

@Suite struct USBClassTests {
    /// Every code has a name, and its numbers are there in two digits each.
    @Test func titles() {
        #expect(USBClass.title(8, 6, 0x50) == "Mass Storage (08/06/50)")
        #expect(USBClass.title(0, 0, 0) == "defined at interface level (00/00/00)")
        #expect(USBClass.title(0xFF, 0xA, 0xFF) == "Vendor Specific (ff/0a/ff)")
        #expect(USBClass.title(0x42, 1, 2) == "unknown class (42/01/02)")
        for code in UInt8.min...UInt8.max {
            let title = USBClass.title(code, code, code)
            let hex = String(code, radix: 16)
            let two = hex.count == 1 ? "0" + hex : hex
            #expect(title.hasSuffix(" (\(two)/\(two)/\(two))"))
            #expect(title.count > " (00/00/00)".count)
        }
    }
}

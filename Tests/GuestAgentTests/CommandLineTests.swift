// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport
import Testing

@testable import GuestAgent

@Suite struct CommandLineTests {
    /// Everything that is wrong with a command line is one line on stderr, nothing on stdout, and 64.
    @Test(arguments: [
        ["agnet"], ["--agent"], [""], ["help", "agnet"], ["help", "run", "run"], ["version", "--yaml"],
        ["version", "now"], ["status", "--yaml"], ["status", "now"], ["status", "--runtime-dir"],
        ["status", "--runtime-dir", "run"], ["config"], ["config", "verify"], ["config", "check", "file"],
        ["config", "check", "--config"], ["config", "check", "--json", "x"], ["agent", "now"],
        ["agent", "--sied", "a"],
        ["agent", "--side"], ["agent", "--side", "c"], ["agent", "--side=c"], ["agent", "--channels", "0"],
        ["agent", "--side", "a", "--side", "b"], ["agent", "--config", "/dev/null", "--config", "/dev/null"],
        ["run"], ["run", "--"], ["run", "true"], ["run", "true", "--"], ["run", "--port"], ["run", "--port", "0"],
        ["run", "--port", "0", "--", "true"], ["run", "--port", "65536", "--", "true"],
        ["run", "--port", "3240:", "--", "true"], ["run", "--port", "1:2:3", "--", "true"],
        ["run", "--port", "+1", "--", "true"], ["run", "--runtime-dir", "here", "--", "true"],
        ["run", "--quiet", "yes", "--", "true"],
    ])
    func usage(_ arguments: [String]) throws {
        try RingwayProgram.expectUsageError(arguments, "ringway: ")
    }

    @Test func withoutACommandHelpIsAnError() throws {
        let result = try RingwayProgram().run()
        #expect(result.status == ExitCode.usage.rawValue)
        #expect(result.output == "")
        #expect(result.errors == Help.general)
    }

    @Test(arguments: ["agent", "run", "status", "config", "version", "help"])
    func everyCommandExplainsItself(_ command: String) throws {
        let asked = try RingwayProgram("help", command).run()
        #expect(asked.status == 0)
        #expect(asked.errors == "")
        #expect(asked.output.hasPrefix("usage: ringway \(command)"))
        #expect(asked.output.split(separator: "\n").allSatisfy { $0.utf8.count <= 120 })
        #expect(Help.general.contains("  \(command)"))
        for flag in ["--help", "-h"] {
            let flagged = try RingwayProgram(command, flag).run()
            #expect(flagged.status == 0 && flagged.output == asked.output)
        }
    }

    @Test func helpListsEveryKey() throws {
        let text = try RingwayProgram("agent", "--help").run().output
        for key in Configuration.keys { #expect(text.contains("  \(key.name) = \(key.form)\n")) }
    }

    /// What stands behind `--` is the program's own.
    @Test func aProgramsFlagsAreItsOwn() throws {
        let result = try RingwayProgram("run", "--preload", "/nowhere.so", "--", "true", "--help").run()
        #expect(result.status == ExitCode.noSuch.rawValue)
        #expect(result.errors.contains("/nowhere.so"))
    }

    @Test func version() throws {
        let plain = try RingwayProgram("version").run()
        #expect(plain.status == 0)
        #expect(plain.output == "ringway \(RingwayVersion.string), section layout 1\n")
        #expect(try RingwayProgram("--version").run().output == plain.output)
        let json = try RingwayProgram("version", "--json").run()
        let fields = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
        #expect(fields["version"] as? String == RingwayVersion.string)
        #expect(fields["layout"] as? Int == 1)
    }

    /// What config check prints is a configuration again, and says the same.
    @Test func configCheckPrintsAConfiguration() throws {
        let folder = try ScratchFolder()
        let first = try RingwayProgram(
            "config", "check", "--config", folder.add("a", minimal), "--spin-us=7", "--runtime-dir", "/tmp/x"
        ).run()
        #expect(first.status == 0 && first.errors == "")
        #expect(first.output.contains("side = a\n") && first.output.contains("spin-us = 7\n"))
        #expect(first.output.contains("runtime-dir = /tmp/x\n"))
        for key in Configuration.keys { #expect(first.output.contains("\(key.name) = ")) }
        let second = try RingwayProgram("config", "check", "--config", folder.add("b", first.output)).run()
        #expect(second.status == 0 && second.output == first.output)
    }

    @Test func configCheckNamesFileAndLine() throws {
        let folder = try ScratchFolder()
        let file = try folder.add("a", minimal + "channels = 0\n")
        let bad = try RingwayProgram("config", "check", "--config", file).run()
        #expect(bad.status == ExitCode.badConfiguration.rawValue)
        #expect(bad.errors == "ringway: \(file):4: channels = 0 is not valid; it must be a number from 1 to 256\n")
        let missing = try RingwayProgram("config", "check", "--config", folder.path + "/none").run()
        #expect(missing.status == ExitCode.noSuch.rawValue)
        #expect(missing.errors.contains("/none: No such file"))
        let directory = try RingwayProgram("config", "check", "--config", folder.path).run()
        #expect(directory.status == ExitCode.ioError.rawValue)
    }

    /// A flag overrides the file, also one whose value there would do.
    @Test func flagsOverrideTheFile() throws {
        let folder = try ScratchFolder()
        let file = try folder.add("a", minimal + "channels = 2\n")
        let result = try RingwayProgram("config", "check", "--config", file, "--channels", "4", "--side=b").run()
        #expect(result.output.contains("channels = 4\n") && result.output.contains("side = b\n"))
    }

    /// A result that nobody can take is an error, not a success.
    @Test(arguments: [["version"], ["version", "--json"], ["help"], ["config", "check", "--side", "a"]])
    func aFullDiskIsAnError(_ arguments: [String]) throws {
        var program = RingwayProgram("-c", "exec \"$@\" >/dev/full", "sh", RingwayProgram.path)
        program.program = "/bin/sh"
        program.arguments += arguments
        if arguments[0] == "config" { program.arguments += ["--section-a", "file:/a", "--section-b", "file:/b"] }
        #expect(try program.run().status == ExitCode.ioError.rawValue)
    }

    /// The agent's own start, up to where it would need a peer.
    @Test func theAgentNamesWhatItCannotOpen() throws {
        let folder = try ScratchFolder()
        let small = try folder.add("small", String(repeating: "x", count: 4096))
        for (sections, code, words) in [
            (["file:\(folder.path)/none", "file:\(small)"], ExitCode.noSuch, "none: No such file"),
            (["file:\(folder.path)", "file:\(small)"], .badContent, "not a regular file"),
            (["file:\(small),size=8K", "file:\(folder.path)/none"], .badConfiguration, "4096 bytes"),
            (["uio:there-is-no-such-driver", "file:\(small)"], .noSuch, "there-is-no-such-driver"),
            (["pci:ffff:ffff", "file:\(small)"], .noSuch, "ffff:ffff"),
        ] {
            let result = try RingwayProgram(
                "agent", "--config", "/dev/null", "--side", "a", "--section-a", sections[0], "--section-b", sections[1],
                "--runtime-dir", folder.path
            ).run()
            #expect(result.status == code.rawValue, "\(result.errors)")
            #expect(result.errors.contains(words), "\(result.errors)")
            #expect(result.errors.hasPrefix("ringway: ") && result.output == "")
        }
    }

    /// The numbers are a promise to scripts.
    @Test func exitCodesAreSysexits() {
        let codes: [(ExitCode, Int32)] = [
            (.success, 0), (.usage, EX_USAGE), (.badContent, EX_DATAERR), (.noSuch, EX_NOINPUT),
            (.unavailable, EX_UNAVAILABLE), (.ioError, EX_IOERR), (.badProtocol, EX_PROTOCOL),
            (.notPermitted, EX_NOPERM), (.badConfiguration, EX_CONFIG), (.cannotRun, 126), (.programNotFound, 127),
        ]
        for (code, number) in codes { #expect(code.rawValue == number) }
    }
}

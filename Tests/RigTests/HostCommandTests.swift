// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Rig

@Suite struct HostCommandTests {
    @Test func outputAndStatusComeBack() throws {
        let output = try HostCommand("sh", ["-c", "echo out; echo err >&2; exit 3"]).run()
        #expect(output.status == 3)
        #expect(output.text == "out\n")
        #expect(output.errorText == "err\n")
    }

    @Test func aSignalIsAStatus() throws {
        #expect(try HostCommand("sh", ["-c", "kill -9 $$"]).run().status == 128 + 9)
    }

    @Test func aFailureCarriesTheLastWords() {
        let error = #expect(throws: RigError.self) {
            try HostCommand("sh", ["-c", "seq 100 >&2; exit 1"]).check(remedy: "count less")
        }
        #expect(error?.happened.contains("\n100\n") == true)
        #expect(error?.happened.contains("\n50\n") == false)
        #expect(error?.remedy == "count less")
    }

    @Test func aProgramThatDoesNotEndIsKilled() {
        let error = #expect(throws: RigError.self) {
            try HostCommand("sleep", ["1000"], timeLimit: .milliseconds(50)).run()
        }
        #expect(error?.happened.contains("was killed") == true)
    }

    @Test func aMissingProgramIsNamed() {
        let error = #expect(throws: RigError.self) { try HostCommand("no-such-program").run() }
        #expect(error?.tried == "run no-such-program")
    }

    @Test func whatIsLeftRunningKeepsNobodyWaiting() throws {
        let began = ContinuousClock.now
        let output = try HostCommand("sh", ["-c", "sleep 20 & echo $!"], timeLimit: .seconds(10)).check()
        #expect(ContinuousClock.now - began < .seconds(10))
        kill(try #require(pid_t(output.text.dropLast())), SIGKILL)
    }

    @Test func largeOutputDoesNotBlock() throws {
        #expect(try HostCommand("head", ["-c", "3000000", "/dev/zero"]).check().standardOutput.count == 3_000_000)
    }

    @Test func filesForInputAndOutput() throws {
        let folder = try TemporaryFolder()
        let input = try folder.write("abc", to: "in")
        let output = folder.url.appendingPathComponent("out")
        try HostCommand("tr", ["a", "x"], input: input, output: output).check()
        #expect(try String(contentsOf: output, encoding: .utf8) == "xbc")
    }
}

@Suite struct ImageContentsTests {
    private static func package(in folder: TemporaryFolder, sum: String) throws -> DebianPackage {
        try folder.write("program", to: "files/usr/bin/tool")
        try folder.write("\(sum)  usr/bin/tool\n", to: "control/md5sums")
        return DebianPackage(
            package: PackageVersion(name: "tool", version: "1"), files: folder.url.appendingPathComponent("files"),
            control: folder.url.appendingPathComponent("control"))
    }

    private static func contents(sum: String, in folder: TemporaryFolder) throws -> ImageContents {
        let package = try package(in: folder, sum: sum)
        var contents = ImageContents(staging: folder.url.appendingPathComponent("staging"))
        let file = try #require(RootedPath.find("bin/tool", below: package.files))
        try contents.add("/usr/bin/tool", file: file, of: package, mode: 0o755)
        try contents.add("/etc/text", data: Data("abc".utf8), mode: 0o644, origin: "ringway")
        return contents
    }

    @Test func theManifestNamesOriginAndChecksum() throws {
        let folder = try TemporaryFolder()
        // md5 of "program".
        let contents = try Self.contents(sum: "a9c449d4fa44e9e5a41c574ae55ce4d9", in: folder)
        try contents.verify()
        let manifest = try contents.manifest()
        #expect(manifest["/usr/bin/tool"]?.origin == "tool 1")
        #expect(manifest["/usr/bin/tool"]?.size == 7)
        // sha256 of "abc", from the standard.
        #expect(
            manifest["/etc/text"]?.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(manifest["/bin"]?.sha256 == nil)
    }

    @Test func aFileThatIsNotDebiansIsRefused() throws {
        let folder = try TemporaryFolder()
        let contents = try Self.contents(sum: String(repeating: "0", count: 32), in: folder)
        let error = #expect(throws: RigError.self) { try contents.verify() }
        #expect(error?.tried == "use tool of tool 1")
    }
}

@Suite struct RootedPathTests {
    @Test func absoluteLinksStayBelowTheRoot() throws {
        let folder = try TemporaryFolder()
        let target = try folder.write("x", to: "var/lib/names")
        try folder.write("", to: "usr/share/misc/other")
        let link = folder.url.appendingPathComponent("usr/share/misc/names").path
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "/var/lib/names")
        #expect(RootedPath.find("/share/misc/names", below: folder.url)?.path == target.path)
        #expect(RootedPath.find("/etc/passwd", below: folder.url) == nil)
    }

    @Test func aLoopEnds() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createSymbolicLink(
            atPath: folder.url.appendingPathComponent("a").path, withDestinationPath: "a")
        #expect(RootedPath.find("a", below: folder.url) == nil)
    }
}

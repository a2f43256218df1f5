// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport
import Testing

@testable import GuestAgent

/// `ringway run` with a preload library that does nothing.
@Suite struct RunCommandTests {
    let folder: ScratchFolder
    let library: String

    init() throws {
        folder = try ScratchFolder()
        library = try folder.add("empty.so", "")
        // Any shared object will do; the C library's is there.
        try FileManager.default.removeItem(atPath: library)
        try FileManager.default.copyItem(atPath: try Self.anyLibrary(), toPath: library)
    }

    /// A small shared object that every program could load: libm, which this test program has loaded.
    static func anyLibrary() throws -> String {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/self/maps"))
        var bytes = Data()
        while let part = try file.read(upToCount: 4096), !part.isEmpty { bytes += part }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        let line = try #require(lines.first { $0.contains("/libm.so") || $0.contains("/libm-") })
        return String(line[line.firstIndex(of: "/")!...])
    }

    func run(_ arguments: String..., environment: [String: String] = [:]) throws -> RingwayProgram.Result {
        var program = RingwayProgram("run", "--preload", library)
        program.arguments += arguments
        program.environment = environment
        return try program.run()
    }

    @Test func setsTheEnvironment() throws {
        let script = "echo $LD_PRELOAD $RINGWAY_RUNTIME_DIR $RINGWAY_PORTS"
        #expect(try run("--", "sh", "-c", script).output == "\(library) /run/ringway 3240\n")
        let second = try run(
            "--port", "22:2200", "--runtime-dir", "/tmp/r", "--port", "80", "--", "sh", "-c", script,
            environment: ["LD_PRELOAD": library])
        #expect(second.output == "\(library):\(library) /tmp/r 22:2200,80\n")
        #expect(try run("--verbose", "--", "sh", "-c", "echo $RINGWAY_VERBOSE").output == "1\n")
        #expect(try run("--", "sh", "-c", "echo ${RINGWAY_VERBOSE-unset}").output == "unset\n")
    }

    @Test func passesArgumentsAsTheyAre() throws {
        let result = try run("--", "printf", "<%s>", "a b", "", "--port", "--", "ü")
        #expect(result.output == "<a b><><--port><--><ü>")
        #expect(result.status == 0 && result.errors == "")
    }

    @Test func returnsTheProgramsStatus() throws {
        #expect(try run("--", "sh", "-c", "exit 3").status == 3)
        #expect(try run("--", "sh", "-c", "kill -9 $$").status == 128 + 9)
    }

    /// The path means the same after the program has changed its directory.
    @Test func theLibrarysPathIsAbsolute() throws {
        var program = RingwayProgram("run", "--preload", "empty.so", "--", "sh", "-c", "cd /; echo $LD_PRELOAD")
        program.directory = folder.path
        #expect(try program.run().output == library + "\n")
    }

    @Test func findsTheLibraryBesideItself() throws {
        for place in ["bin/libringway-preload.so", "lib/ringway/libringway-preload.so"] {
            let root = try ScratchFolder()
            try root.add("bin/ringway", "")
            try FileManager.default.removeItem(atPath: root.path + "/bin/ringway")
            try FileManager.default.copyItem(atPath: RingwayProgram.path, toPath: root.path + "/bin/ringway")
            var program = RingwayProgram("run", "--", "sh", "-c", "echo $LD_PRELOAD")
            program.program = root.path + "/bin/ringway"
            let missing = try program.run()
            #expect(missing.status == ExitCode.noSuch.rawValue)
            #expect(missing.errors.contains("/lib/ringway/libringway-preload.so: not found; name it with --preload"))
            try root.add(place, "")
            try FileManager.default.removeItem(atPath: "\(root.path)/\(place)")
            try FileManager.default.copyItem(atPath: library, toPath: "\(root.path)/\(place)")
            #expect(try program.run().output == "\(root.path)/\(place)\n")
        }
    }

    @Test func aLibraryThatTheLoaderCannotBeTold() throws {
        let awkward = folder.path + "/a b.so"
        try FileManager.default.copyItem(atPath: library, toPath: awkward)
        let result = try RingwayProgram("run", "--preload", awkward, "--", "true").run()
        #expect(result.status == ExitCode.usage.rawValue)
        #expect(result.errors.contains("space or colon"))
    }

    @Test func whatIsNotThereIs127() throws {
        for name in ["no-such-program-here", folder.path + "/none", ""] {
            let result = try run("--", name)
            #expect(result.status == ExitCode.programNotFound.rawValue, "\(name)")
            #expect(result.errors.contains("there is no such program"))
        }
        // A script whose interpreter is missing: execve says so.
        #expect(try run("--", folder.add("orphan", "#!/no/such/interpreter\n", mode: 0o755)).status == 127)
    }

    @Test func whatCannotBeExecutedIs126() throws {
        let plain = try folder.add("bin/plain", "echo\n")
        #expect(try run("--", plain).status == ExitCode.cannotRun.rawValue)
        #expect(try run("--", folder.path).status == ExitCode.cannotRun.rawValue)
        let path = ["PATH": "\(folder.path)/none:\(folder.path)/bin"]
        let inPath = try run("--", "plain", environment: path)
        #expect(inPath.status == ExitCode.cannotRun.rawValue)
        #expect(inPath.errors.contains("\(plain): it is not executable"))
    }

    /// The one that can be executed wins over one before it that cannot.
    @Test func searchesPathToItsEnd() throws {
        try folder.add("first/tool", "#!/bin/sh\necho first\n")
        try folder.add("second/tool", "#!/bin/sh\necho second\n", mode: 0o755)
        let path = ["PATH": ":\(folder.path)/first::\(folder.path)/second:/usr/bin:/bin"]
        #expect(try run("--", "tool", environment: path).output == "second\n")
    }

    @Test func refusesStaticPrograms() throws {
        let program = try folder.add("static", "", mode: 0o755)
        try Data(elf(segments: [1, 2])).write(to: URL(fileURLWithPath: program))
        let result = try run("--", program)
        #expect(result.status == ExitCode.cannotRun.rawValue)
        #expect(
            result.errors == "ringway: running \(program): it is statically linked, so its socket calls cannot be "
                + "replaced\n")
        let script = try folder.add("script", "#! \(program) -x\n", mode: 0o755)
        #expect(try run("--", script).errors.contains("its interpreter \(program): it is statically linked"))
    }
}

/// The beginning of an ELF file for this machine, with one program header for each segment type.
func elf(segments: [UInt8], class wordSize: UInt8 = 2, machine: UInt8? = nil) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 64 + 56 * segments.count)
    #if arch(x86_64)
    let own: UInt8 = 62
    #else
    let own: UInt8 = 183
    #endif
    bytes.replaceSubrange(0..<7, with: [0x7F, 0x45, 0x4C, 0x46, wordSize, 1, 1])
    bytes[16] = 3
    bytes[18] = machine ?? own
    bytes[32] = 64
    bytes[54] = 56
    bytes[56] = UInt8(segments.count)
    for (number, type) in segments.enumerated() { bytes[64 + 56 * number] = type }
    return bytes
}

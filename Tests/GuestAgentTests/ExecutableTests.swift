// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport
import Testing

@testable import GuestAgent

@Suite struct ExecutableTests {
    let folder: ScratchFolder
    let library: String

    init() throws {
        folder = try ScratchFolder()
        library = folder.path + "/library.so"
        try Data(elf(segments: [1, 2])).write(to: URL(fileURLWithPath: library))
    }

    /// Why a program of these bytes cannot be preloaded.
    func why(_ bytes: [UInt8], mode: Int = 0o755) throws -> String? {
        let path = try folder.add("program", "")
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return Executable.cannotBePreloaded(path, library: library)
    }

    @Test func theInterpreterSegmentTells() throws {
        #expect(try why(elf(segments: [6, 3, 1])) == nil)
        #expect(try why(elf(segments: [1, 3])) == nil)
        #expect(try why(elf(segments: [1, 2, 4])) == "it is statically linked")
        #expect(Executable.isStatic(elf(segments: [1])))
    }

    @Test func anotherMachine() throws {
        #expect(try why(elf(segments: [3], machine: 8))?.contains("another processor") == true)
        #expect(try why(elf(segments: [3], class: 1))?.contains("word size") == true)
    }

    /// What is not known is left to execve.
    @Test func otherFiles() throws {
        #expect(try why([]) == nil)
        #expect(try why([UInt8]("echo\n".utf8)) == nil)
        #expect(try why([UInt8]("#!".utf8)) == nil)
        #expect(try why([UInt8]("#!\n".utf8)) == nil)
        #expect(Executable.cannotBePreloaded(folder.path + "/none", library: library) == nil)
        #expect(Executable.cannotBePreloaded("/bin/sh", library: "/bin/sh") == nil)
    }

    /// A header may say anything; nothing outside the bytes that were read is looked at.
    @Test func everyBrokenHeader() {
        let good = elf(segments: [1, 2])
        for count in 0..<good.count { _ = Executable.isStatic(Array(good[..<count])) }
        for place in 0..<64 {
            for value in [UInt8(0), 1, 0x7F, 0x80, 0xFF] {
                var bytes = good
                bytes[place] = value
                _ = Executable.isStatic(bytes)
            }
        }
        // Program headers that lie where a first look does not reach: not known, so not refused.
        var far = good
        far[33] = 0xFF
        #expect(!Executable.isStatic(far))
        far[39] = 0xFF
        #expect(!Executable.isStatic(far))
    }

    @Test func scriptsAreAsTheirInterpreters() throws {
        let fixed = try folder.add("fixed", "", mode: 0o755)
        try Data(elf(segments: [1])).write(to: URL(fileURLWithPath: fixed))
        for line in ["#!\(fixed)", "#! \(fixed)\n", "#!\t\(fixed)\t-x\n", "#!\(fixed) -x y\n"] {
            #expect(try why([UInt8](line.utf8)) == "its interpreter \(fixed): it is statically linked", "\(line)")
        }
        let between = try folder.add("between", "#!\(fixed)\n", mode: 0o755)
        #expect(try why([UInt8]("#!\(between)\n".utf8)) == "its interpreter \(between): it is statically linked")
        // The kernel stops after a few; a script that is its own interpreter must not keep us busy.
        let circle = try folder.add("circle", "#!\(folder.path)/circle\n", mode: 0o755)
        #expect(Executable.cannotBePreloaded(circle, library: library) == nil)
    }

    /// Set-id matters where it changes who we are; the loader then ignores the preload library.
    @Test(.enabled(if: geteuid() == 0, "only root can give files away")) func setID() throws {
        let path = try folder.add("setid", "")
        try Data(elf(segments: [3])).write(to: URL(fileURLWithPath: path))
        func why() -> String? { Executable.cannotBePreloaded(path, library: library) }
        for (owner, group, mode, refused) in [
            (uid_t(0), gid_t(0), mode_t(0o4755), false), (1, 0, 0o4755, true), (1, 0, 0o755, false),
            (0, 1, 0o2755, true), (0, 0, 0o2755, false), (0, 1, 0o755, false),
        ] {
            #expect(chown(path, owner, group) == 0 && chmod(path, mode) == 0)
            #expect(why().map { $0.contains("set-id") } ?? false == refused, "\(owner) \(group) \(mode)")
        }
        // A script's own bits are ignored by the kernel.
        let script = try folder.add("script", "#!/bin/sh\n")
        #expect(chown(script, 1, 1) == 0 && chmod(script, 0o6755) == 0)
        #expect(Executable.cannotBePreloaded(script, library: "/bin/sh") == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Rig

/// On real programs: those of any Debian.
@Suite struct ElfClosureTests {
    private static let program = URL(fileURLWithPath: "/usr/bin/apt-get")
    private static let folders = ["/lib", "/usr/lib"].flatMap {
        [URL(fileURLWithPath: "\($0)/\(GuestArchitecture.host.multiarch)"), URL(fileURLWithPath: $0)]
    }
    private static let root = URL(fileURLWithPath: "/")

    @Test func theLoaderAgrees() throws {
        let closure = try ElfClosure(of: [Self.program], folders: Self.folders, roots: [Self.root])
        let loader = try HostCommand("ldd", [Self.program.path]).check().text
        let names = loader.split(separator: "\n").compactMap { line -> String? in
            let words = line.split(separator: " ")
            return words.contains("=>") ? words[0].trimmingCharacters(in: .whitespaces) : nil
        }
        let interpreter = try #require(closure.interpreters.keys.first)
        // The loader lists itself by its path, and a library may need it by name.
        let loaderName = URL(fileURLWithPath: interpreter).lastPathComponent
        #expect(Set(closure.libraries.keys).subtracting([loaderName]) == Set(names).subtracting([loaderName]))
        #expect(names.count > 3)
        #expect(loader.contains(interpreter))
    }

    @Test func anInterpreterIsAProgramWithout() throws {
        let closure = try ElfClosure(of: [Self.program], folders: Self.folders, roots: [Self.root])
        let loader = try #require(try ElfFile(reading: closure.interpreters.values.first!))
        #expect(loader.interpreter == nil)
        #expect(loader.needed.isEmpty)
        #expect(loader.name != nil)
    }

    @Test func aMissingLibraryIsNamed() {
        let error = #expect(throws: RigError.self) {
            try ElfClosure(of: [Self.program], folders: [], roots: [Self.root])
        }
        #expect(error?.happened.contains(".so") == true)
    }

    @Test func aMissingInterpreterIsNamed() {
        let error = #expect(throws: RigError.self) {
            try ElfClosure(of: [Self.program], folders: Self.folders, roots: [])
        }
        #expect(error?.happened.contains("/ld-linux") == true)
    }

    @Test func otherFilesAreNotElf() throws {
        #expect(try ElfFile(reading: URL(fileURLWithPath: "/etc/passwd")) == nil)
        #expect(throws: RigError.self) { try ElfFile(reading: URL(fileURLWithPath: "/nonexistent")) }
        #expect(throws: RigError.self) {
            try ElfClosure(of: [URL(fileURLWithPath: "/etc/passwd")], folders: [], roots: [])
        }
    }

    /// What the loader reads is there without section headers, too: e_shoff, e_shnum and e_shstrndx are 0.
    @Test func sectionHeadersAreNotNeeded() throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appendingPathComponent("bare")
        for program in [Self.program, URL(fileURLWithPath: "/usr/lib/\(GuestArchitecture.host.multiarch)/libc.so.6")] {
            var bytes = try Data(contentsOf: program)
            bytes.replaceSubrange(0x28..<0x30, with: Data(count: 8))
            bytes.replaceSubrange(0x3C..<0x40, with: Data(count: 4))
            try bytes.write(to: file)
            let whole = try #require(try ElfFile(reading: program))
            #expect(try ElfFile(reading: file) == whole)
            #expect(whole.needed.isEmpty == false)
        }
    }

    /// Cut anywhere, a file is an error, or no ELF file; with all that the loader reads it may be fine.
    @Test func partOfAFileIsAnError() throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appendingPathComponent("part")
        let bytes = try Data(contentsOf: Self.program)
        let whole = try #require(try ElfFile(reading: Self.program))
        var failures = 0
        for size in stride(from: 0, to: bytes.count, by: 61) {
            try bytes.prefix(size).write(to: file)
            do {
                let part = try ElfFile(reading: file)
                #expect(part == nil ? size < 64 : part == whole, "\(size)")
            } catch { failures += 1 }
        }
        #expect(failures > 10)
    }
}

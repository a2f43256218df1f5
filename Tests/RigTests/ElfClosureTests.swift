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

    @Test func halfAFileIsAnError() throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appendingPathComponent("half")
        let whole = try Data(contentsOf: Self.program)
        // Beyond the header, short of the sections.
        try whole.prefix(4096).write(to: file)
        #expect(throws: RigError.self) { try ElfFile(reading: file) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Rig

@Suite struct CpioArchiveTests {
    private struct Record: Equatable {
        var name: String
        var fields: [UInt32]
        var content: Data

        var mode: UInt32 { fields[1] }
    }

    /// Reads an archive as Documentation/driver-api/early-userspace/buffer-format.rst of the kernel says.
    private static func parse(_ data: Data) throws -> [Record] {
        var records: [Record] = []
        var offset = 0
        func text(_ count: Int) -> String { String(decoding: data[offset..<offset + count], as: UTF8.self) }
        while offset < data.count {
            try #require(text(6) == "070701")
            offset += 6
            let fields = try (0..<13).map { _ -> UInt32 in
                defer { offset += 8 }
                return try #require(UInt32(text(8), radix: 16))
            }
            let length = Int(fields[11])
            let name = text(length - 1)
            try #require(data[offset + length - 1] == 0)
            offset = (offset + length + 3) & ~3
            let content = data[offset..<offset + Int(fields[6])]
            offset = (offset + content.count + 3) & ~3
            records.append(Record(name: name, fields: fields, content: Data(content)))
        }
        return records
    }

    private static func written(_ archive: CpioArchive, in folder: TemporaryFolder) throws -> Data {
        let file = folder.url.appendingPathComponent("archive")
        try archive.write(to: file)
        return try Data(contentsOf: file)
    }

    @Test(arguments: [0, 1, 2, 3, 4, 5, 4095])
    func everyKindOfEntry(size: Int) throws {
        let folder = try TemporaryFolder()
        let content = String(repeating: "x", count: size)
        var archive = CpioArchive()
        archive.add("/usr/bin/tool", mode: 0o755, .file(try folder.write(content, to: "tool")))
        archive.add("/bin", mode: 0o777, .symbolicLink("usr/bin"))
        archive.add("/dev/console", mode: 0o600, .characterDevice(major: 5, minor: 1))
        let records = try Self.parse(Self.written(archive, in: folder))
        #expect(
            records.map(\.name) == ["bin", "dev", "dev/console", "usr", "usr/bin", "usr/bin/tool", "TRAILER!!!"])
        #expect(
            records.map(\.mode) == [0o120777, 0o040755, 0o020600, 0o040755, 0o040755, 0o100755, 0])
        #expect(records[0].content == Data("usr/bin".utf8))
        #expect(records[5].content == Data(content.utf8))
        #expect(records[2].fields[9] == 5 && records[2].fields[10] == 1)
        #expect(records.allSatisfy { $0.fields[2] == 0 && $0.fields[3] == 0 }, "everything is root's")
        #expect(Set(records.map { $0.fields[0] }).count == records.count, "an inode number is not used twice")
    }

    @Test func theSameContentGivesTheSameBytes() throws {
        let folder = try TemporaryFolder()
        let paths = ["/a/1", "/b/2", "/a/b/3", "/a-/4"]
        let file = try folder.write("content", to: "file")
        func archive(_ paths: [String]) throws -> Data {
            var archive = CpioArchive()
            for path in paths { archive.add(path, mode: 0o644, .file(file)) }
            return try Self.written(archive, in: folder)
        }
        #expect(try archive(paths) == archive(paths.reversed()))
    }

    @Test func aFolderComesBeforeWhatItHolds() {
        var archive = CpioArchive()
        for path in ["/a-/x", "/a/b/c", "/a.d/x"] { archive.add(path, mode: 0o644, .symbolicLink("y")) }
        var seen: Set<String> = [""]
        for entry in archive.sorted {
            #expect(seen.contains(entry.path.split(separator: "/").dropLast().joined(separator: "/")))
            seen.insert(entry.path)
        }
    }

    @Test func aLaterEntryReplaces() {
        var archive = CpioArchive()
        archive.add("/etc/hostname", mode: 0o644, .symbolicLink("old"))
        archive.add("etc//hostname", mode: 0o644, .symbolicLink("new"))
        #expect(archive.sorted.map(\.node) == [.directory, .symbolicLink("new")])
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Rig

@Suite struct DiskImageTests {
    /// What a program that is not the one which wrote it reads from the file system.
    private func read(_ request: String, _ disk: URL) throws -> String {
        try HostCommand("debugfs", ["-R", request, disk.path]).check().text
    }

    @Test func theDiskHoldsWhatTheArchiveDoes() throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appendingPathComponent("content")
        try Data((0..<70_000).map { UInt8(truncatingIfNeeded: $0 / 7) }).write(to: file)
        var archive = CpioArchive()
        archive.add("/usr/bin/tool", mode: 0o755, .file(file))
        archive.add("/etc/note", mode: 0o640, .file(file))
        archive.add("/bin", mode: 0o777, .symbolicLink("usr/bin"))
        archive.add("/dev/console", mode: 0o600, .characterDevice(major: 5, minor: 1))
        let disk = folder.url.appendingPathComponent("root.ext4")
        try DiskImage.write(archive, to: disk, staging: folder.url.appendingPathComponent("staging"))

        let copy = folder.url.appendingPathComponent("copy")
        _ = try read("dump /usr/bin/tool \(copy.path)", disk)
        #expect(try Data(contentsOf: copy) == Data(contentsOf: file))
        #expect(try read("stat /usr/bin/tool", disk).contains("Mode:  0755"))
        #expect(try read("stat /etc/note", disk).contains("Mode:  0640"))
        #expect(try read("stat /bin", disk).contains("Fast link dest: \"usr/bin\""))
        #expect(try !read("ls -p /dev", disk).contains("console"), "devtmpfs has it")
        #expect(try read("stats", disk).contains("ringway-root"))
    }

    /// Where an image and its disk lie: beside each other.
    @Test(arguments: [("/x/guest.cpio.gz", "/x/guest.ext4"), ("/x/guest", "/x/guest.ext4")])
    func theDiskLiesBesideTheImage(image: String, disk: String) {
        let request = ImageRequest(
            root: URL(fileURLWithPath: "/"), output: URL(fileURLWithPath: image), role: .importer, configuration: "",
            agent: nil, isOnDisk: true)
        #expect(request.disk.path == disk)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// No figure stands for wrong bytes: what each way reads is what the host wrote, and what it writes is what the host
/// has then.
struct BenchIntegrity: Codable, Equatable, Sendable {
    let contender: BenchContender
    /// sha256 of the whole disk: by the host, and as read in the importer.
    let hostBefore: String
    let read: String
    /// sha256 of fresh random bytes in the importer, and of the disk's image after they were written.
    let written: String
    let hostAfter: String

    var holds: Bool { hostBefore == read && written == hostAfter && read != written }
}

extension BenchGuests {
    /// Compares every byte of the contender's disk, and leaves new content on it.
    func checkIntegrity(of contender: BenchContender, folder: RunFolder, settings: BenchSettings) throws
        -> BenchIntegrity
    {
        let image = folder.disk(contender.disk)
        let node = try disk(of: contender).node
        let before = try Checksum.sha256(image)
        let limit = Duration.seconds(300)
        func sum(_ script: String, _ purpose: String) throws -> String {
            try importer.demand(script, purpose, timeLimit: limit).split(separator: " ").first.map(String.init) ?? ""
        }
        let read = try sum(
            "echo 3 >/proc/sys/vm/drop_caches && sha256sum \(node)", "read the whole disk of \(contender.rawValue)")
        let written = try sum(
            "head -c \(settings.diskSize) /dev/urandom >\(Self.content) && sha256sum \(Self.content)",
            "make new content")
        let work = BenchWork(.write, 1 << 20, settings.megabytes)
        try importer.demand(
            work.command(node: node, device: "", content: Self.content),
            "write the whole disk of \(contender.rawValue)", timeLimit: limit)
        let integrity = BenchIntegrity(
            contender: contender, hostBefore: before, read: read, written: written,
            hostAfter: try Checksum.sha256(image))
        guard integrity.holds else {
            throw RigError(
                tried: "move a disk's bytes by \(contender.rawValue)",
                happened: "they are other bytes now: \(integrity)",
                remedy: "no figure of this run counts; run the scenario usb-disk, which looks closer")
        }
        return integrity
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Where one run keeps what it leaves behind (logs, disk images) and what it needs while it lasts (sockets).
public struct RunFolder: Sendable {
    /// `.build-rig/runs/<time>-<name>`: kept.
    public let logs: URL
    /// A short path of its own, for the length that a socket's address may have: removed at the end.
    public let sockets: URL

    /// Makes both. Keeps the logs of the last `kept` runs.
    public static func make(name: String, root: URL, kept: Int = 20) throws -> RunFolder {
        let runs = root.appendingPathComponent(".build-rig/runs")
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.dateFormat = "yyyyMMdd-HHmmss"
        let logs = runs.appendingPathComponent("\(formatter.string(from: Date()))-\(name)")
        try FileManager.default.createDirectory(at: logs, withIntermediateDirectories: true)
        removeOld(in: runs, kept: kept)

        var template = Array("\(NSTemporaryDirectory())/ringway-rig-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw RigError(
                tried: "make a folder for sockets in \(NSTemporaryDirectory())",
                happened: String(cString: strerror(errno)), remedy: "name a folder that may be written in TMPDIR")
        }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return RunFolder(logs: logs, sockets: URL(fileURLWithPath: path))
    }

    func socket(_ name: String) -> String { sockets.appendingPathComponent(name).path }

    /// Where a disk's content lies.
    func disk(_ name: String) -> URL { logs.appendingPathComponent("\(name).img") }
    /// Where QEMU puts what a sound device plays.
    func sound(_ name: String) -> URL { logs.appendingPathComponent("\(name).wav") }
    /// What the host keeps for a device.
    func file(of device: EmulatedDevice) -> URL? {
        switch device.kind {
        case .stick, .uas: disk(device.name)
        case .sound: sound(device.name)
        case .keyboard: nil
        }
    }
    /// Where the device tree of a guest lies.
    func tree(_ guest: String) -> URL { logs.appendingPathComponent("\(guest).dtb") }
    /// Where a guest's image lies.
    func image(_ guest: String) -> URL { logs.appendingPathComponent("\(guest).cpio.gz") }

    /// A file of zeros that machines have as memory; made anew.
    func sharedMemory(_ name: String, _ size: Int) throws -> URL {
        let url = disk(name)
        guard FileManager.default.createFile(atPath: url.path, contents: nil), truncate(url.path, size) == 0 else {
            throw RigError(
                tried: "write \(url.path)", happened: String(cString: strerror(errno)),
                remedy: "check the room on the disk")
        }
        return url
    }

    /// Removes what is of no use once the virtual machines have ended: everything but the logs.
    func removeAllButLogs() {
        try? FileManager.default.removeItem(at: sockets)
        for name in (try? FileManager.default.contentsOfDirectory(atPath: logs.path)) ?? []
        where [".img", ".wav", ".cpio.gz", ".ext4", ".dtb"].contains(where: name.hasSuffix) {
            try? FileManager.default.removeItem(at: logs.appendingPathComponent(name))
        }
    }

    private static func removeOld(in runs: URL, kept: Int) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: runs.path))?.sorted() ?? []
        for name in names.dropLast(kept) {
            try? FileManager.default.removeItem(at: runs.appendingPathComponent(name))
        }
    }
}

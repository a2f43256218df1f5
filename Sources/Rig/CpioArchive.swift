// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A cpio archive in the form that the kernel unpacks ("newc"). Written by hand and not by the `cpio` program:
/// device nodes and root's ownership then need no root, and the same content gives the same bytes.
struct CpioArchive {
    enum Node: Equatable {
        case directory
        case file(URL)
        case symbolicLink(String)
        case characterDevice(major: UInt32, minor: UInt32)
    }

    struct Entry: Equatable {
        /// Without the leading slash.
        let path: String
        /// Permission bits.
        let mode: UInt32
        let node: Node
    }

    private var entries: [String: Entry] = [:]

    /// The entries in the order of the archive: sorted, which puts a folder before what it holds.
    var sorted: [Entry] { entries.values.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) } }

    /// Adds a node at an absolute path, with the folders above it. A later node replaces an earlier one.
    mutating func add(_ path: String, mode: UInt32, _ node: Node) {
        let parts = path.split(separator: "/")
        for count in stride(from: 1, to: parts.count, by: 1) {
            let folder = parts[..<count].joined(separator: "/")
            if entries[folder] == nil { entries[folder] = Entry(path: folder, mode: 0o755, node: .directory) }
        }
        let key = parts.joined(separator: "/")
        entries[key] = Entry(path: key, mode: mode, node: node)
    }

    /// Writes the archive to `url`, a file at a time.
    func write(to url: URL) throws {
        guard FileManager.default.createFile(atPath: url.path, contents: nil) else {
            throw RigError(
                tried: "write \(url.path)", happened: "the file cannot be made",
                remedy: "check that the folder exists and may be written")
        }
        let handle = try FileHandle(forWritingTo: url)
        defer { try? handle.close() }
        for (index, entry) in sorted.enumerated() {
            try handle.write(contentsOf: try Self.record(entry, inode: UInt32(index + 1)))
        }
        try handle.write(
            contentsOf: Self.record(name: "TRAILER!!!", inode: 0, mode: 0, links: 1, device: (0, 0), Data()))
    }

    private static func record(_ entry: Entry, inode: UInt32) throws -> Data {
        switch entry.node {
        case .directory:
            return record(
                name: entry.path, inode: inode, mode: 0o040000 | entry.mode, links: 2, device: (0, 0), Data())
        case .file(let url):
            let content = try Data(contentsOf: url, options: .mappedIfSafe)
            guard content.count <= UInt32.max else {
                throw RigError(
                    tried: "put \(url.path) into an image", happened: "it is larger than a cpio archive can say",
                    remedy: "keep files below 4 GiB")
            }
            return record(
                name: entry.path, inode: inode, mode: 0o100000 | entry.mode, links: 1, device: (0, 0), content)
        case .symbolicLink(let target):
            return record(
                name: entry.path, inode: inode, mode: 0o120777, links: 1, device: (0, 0), Data(target.utf8))
        case .characterDevice(let major, let minor):
            return record(
                name: entry.path, inode: inode, mode: 0o020000 | entry.mode, links: 1, device: (major, minor), Data())
        }
    }

    /// A header of 110 hexadecimal characters, the name with its zero, the content; name and content end on a
    /// multiple of four bytes.
    private static func record(
        name: String, inode: UInt32, mode: UInt32, links: UInt32, device: (UInt32, UInt32), _ content: Data
    ) -> Data {
        let fields: [UInt32] = [
            inode, mode, 0, 0, links, 0, UInt32(content.count), 0, 0, device.0, device.1,
            UInt32(name.utf8.count + 1), 0,
        ]
        var data = Data("070701".utf8)
        data.reserveCapacity(content.count + name.utf8.count + 128)
        for field in fields {
            let digits = String(field, radix: 16, uppercase: true)
            data.append(contentsOf: String(repeating: "0", count: 8 - digits.count).utf8)
            data.append(contentsOf: digits.utf8)
        }
        data.append(contentsOf: name.utf8)
        data.append(0)
        data.append(contentsOf: repeatElement(0, count: (4 - data.count % 4) % 4))
        data.append(content)
        data.append(contentsOf: repeatElement(0, count: (4 - data.count % 4) % 4))
        return data
    }
}

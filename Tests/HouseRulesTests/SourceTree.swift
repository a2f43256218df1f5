// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A text file of the project, by its path from the root.
struct SourceFile: Sendable {
    let path: String
    let text: String

    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    var type: String { path.contains(".") ? String(path.split(separator: ".").last ?? "") : "" }

    func isIn(_ folders: String...) -> Bool { folders.contains { path.hasPrefix($0 + "/") } }
}

/// The files that people write here: no build product, nothing downloaded.
enum SourceTree {
    static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static let files: [SourceFile] = {
        let folders = ["Sources", "Tests", "kernel", "mk", "packaging", "vm-configs", "models", "Fuzz", "peers", ".ci"]
        let paths = folders.flatMap { folder in
            (FileManager.default.enumerator(atPath: root.appendingPathComponent(folder).path)?.allObjects ?? [])
                .compactMap { $0 as? String }.map { "\(folder)/\($0)" }
        }
        return (paths + ["Package.swift", "Makefile"]).sorted().compactMap { path in
            let file = SourceFile(path: path, text: "")
            let isScript = path.hasPrefix(".ci/") || path == "Makefile"
            guard ["swift", "c", "h", "cpp", "hpp", "mk", "sh", "map"].contains(file.type) || isScript,
                !path.hasSuffix(".mod.c"),
                let text = try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
            else { return nil }
            return SourceFile(path: path, text: text)
        }
    }()
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Where this machine takes Debian's packages from: its own apt sources, without those of other parties
/// and without their restriction to one architecture.
struct AptSources: Equatable {
    /// Names a file of sources (`.list` or `.sources`) to use instead of the machine's.
    static let override = "RINGWAY_RIG_SOURCES"

    /// One-line entries.
    var lines: [String] = []
    /// deb822 stanzas.
    var stanzas: [String] = []

    /// Reads the machine's sources.
    static func ofThisMachine(environment: [String: String] = ProcessInfo.processInfo.environment) throws -> AptSources
    {
        var sources = AptSources()
        if let path = environment[override], !path.isEmpty {
            sources.add(try text(URL(fileURLWithPath: path)), deb822: path.hasSuffix(".sources"), codename: nil)
        } else {
            let codename = try? codename(ofRelease: text(URL(fileURLWithPath: "/etc/os-release")))
            let parts = URL(fileURLWithPath: "/etc/apt/sources.list.d")
            let names = (try? FileManager.default.contentsOfDirectory(atPath: parts.path)) ?? []
            for url in [URL(fileURLWithPath: "/etc/apt/sources.list")]
                + names.sorted().map(parts.appendingPathComponent)
            {
                guard ["list", "sources"].contains(url.pathExtension), let text = try? text(url) else { continue }
                sources.add(text, deb822: url.pathExtension == "sources", codename: codename ?? nil)
            }
        }
        guard !sources.lines.isEmpty || !sources.stanzas.isEmpty else {
            throw RigError(
                tried: "find where this machine takes Debian's packages from",
                happened: "no entry in /etc/apt is one of this Debian release",
                remedy: "name a file of package sources in \(override)")
        }
        return sources
    }

    /// `bookworm`, as /etc/os-release tells it.
    static func codename(ofRelease text: String) -> String? {
        for line in text.split(separator: "\n") where line.hasPrefix("VERSION_CODENAME=") {
            return line.dropFirst("VERSION_CODENAME=".count).trimmingCharacters(in: ["\"", " "])
        }
        return nil
    }

    /// Takes over those entries whose suite belongs to the release `codename`; all of them when nil.
    mutating func add(_ text: String, deb822: Bool, codename: String?) {
        if deb822 { addStanzas(text, codename: codename) } else { addLines(text, codename: codename) }
    }

    private mutating func addLines(_ text: String, codename: String?) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: "#", omittingEmptySubsequences: false)[0]
                .replacingOccurrences(of: #"\[[^\]]*\]"#, with: "", options: .regularExpression)
                .split(whereSeparator: \.isWhitespace)
            guard words.count >= 3, words[0] == "deb", Self.belongs(words[2], to: codename) else { continue }
            lines.append(Self.withoutArchitecture(String(line)))
        }
    }

    private static func withoutArchitecture(_ line: String) -> String {
        line.replacingOccurrences(of: #"\barch[+-]?=[^\s\]]+"#, with: "", options: .regularExpression)
            .replacingOccurrences(of: #"\[\s*\]\s*"#, with: "", options: .regularExpression)
    }

    private mutating func addStanzas(_ text: String, codename: String?) {
        for stanza in text.components(separatedBy: "\n\n") {
            let kept = stanza.split(separator: "\n").filter { !$0.hasPrefix("#") && !$0.hasPrefix("Architectures:") }
            func value(_ field: String) -> [Substring] {
                kept.first { $0.hasPrefix(field + ":") }?.dropFirst(field.count + 1)
                    .split(whereSeparator: \.isWhitespace) ?? []
            }
            guard value("Types").contains("deb"), value("Enabled") != ["no"],
                value("Suites").allSatisfy({ Self.belongs($0, to: codename) })
            else { continue }
            stanzas.append(kept.joined(separator: "\n"))
        }
    }

    private static func belongs(_ suite: Substring, to codename: String?) -> Bool {
        guard let codename else { return true }
        return suite == codename || suite.hasPrefix(codename + "-") || suite.hasPrefix(codename + "/")
    }

    /// Writes the entries into apt's folder `parts`; true when that changed anything.
    func write(to parts: URL) throws -> Bool {
        let list = try Self.replace(parts.appendingPathComponent("rig.list"), lines.joined(separator: "\n") + "\n")
        let deb822 = try Self.replace(
            parts.appendingPathComponent("rig.sources"), stanzas.joined(separator: "\n\n") + "\n")
        return list || deb822
    }

    private static func replace(_ url: URL, _ new: String) throws -> Bool {
        if let old = try? text(url), old == new { return false }
        try Data(new.utf8).write(to: url)
        return true
    }

    private static func text(_ url: URL) throws -> String { String(decoding: try Data(contentsOf: url), as: UTF8.self) }
}

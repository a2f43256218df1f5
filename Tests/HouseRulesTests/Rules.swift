// SPDX-License-Identifier: Apache-2.0

/// One rule of the house: what is wrong with a file, line by line.
struct Rule: Sendable, CustomStringConvertible {
    let description: String
    /// A file that breaks the rule once, and one that keeps it: a rule that cannot fail holds nothing.
    let broken: SourceFile
    let kept: SourceFile
    let check: @Sendable (SourceFile) -> [String]

    /// A rule about single lines, with the files that it is about.
    /// - Parameter words: one of these stands in every wrong line; a file without them is not read further.
    static func line(
        _ description: String, broken: SourceFile, kept: SourceFile, words: [String] = [],
        about: @escaping @Sendable (SourceFile) -> Bool = { _ in true },
        isWrong: @escaping @Sendable (Substring) -> Bool
    ) -> Rule {
        Rule(description: description, broken: broken, kept: kept) { file in
            guard about(file), words.isEmpty || words.contains(where: file.text.contains) else { return [] }
            return file.lines.enumerated().filter { isWrong($0.element) }
                .map { "\(file.path):\($0.offset + 1): \($0.element.prefix(100))" }
        }
    }
}

private let guestModules = ["RingBuffer", "RingTransport", "USBIP", "GuestAgent", "SocketShim"].map { "Sources/" + $0 }

/// This target's own samples break the rules by design.
private func isCode(_ file: SourceFile) -> Bool {
    ["swift", "c", "h", "cpp", "hpp"].contains(file.type) && file.path != "Tests/HouseRulesTests/Rules.swift"
}

private func sample(_ path: String, _ text: String) -> SourceFile { SourceFile(path: path, text: text) }

let rules: [Rule] = [
    .line(
        "lines are at most 120 columns wide",
        broken: sample("Sources/Rig/A.swift", String(repeating: "x", count: 121)),
        kept: sample("Sources/Rig/A.swift", String(repeating: "ü", count: 120))
    ) { $0.utf8.count > 120 && $0.count > 120 },

    Rule(
        description: "the first line names the licence",
        broken: sample("kernel/a.c", "// SPDX-License-Identifier: Apache-2.0\n"),
        kept: sample("mk/a.sh", "#!/bin/bash\n# SPDX-License-Identifier: Apache-2.0\n")
    ) { file in
        let camkes = "vm-configs/sel4-camkes"
        // Linked with files of the CAmkES VM that are GPL-2.0-only.
        let isLinked = file.isIn(camkes) && !file.isIn(camkes + "/scenarios")
        let licence = file.isIn("kernel") ? "GPL-2.0" : isLinked ? "Apache-2.0 OR GPL-2.0-only" : "Apache-2.0"
        // A shebang and the package's tools version must be the first line themselves.
        let first = file.lines.first { !$0.hasPrefix("#!") && !$0.hasPrefix("// swift-tools-version") } ?? ""
        return first.contains("SPDX-License-Identifier: \(licence)") ? [] : ["\(file.path): no '\(licence)' in line 1"]
    },

    Rule(
        description: "files have at most 600 lines",
        broken: sample("Sources/Rig/A.swift", String(repeating: "\n", count: 601)),
        kept: sample("Sources/Rig/A.swift", String(repeating: "\n", count: 599))
    ) { $0.lines.count > 600 ? ["\($0.path): \($0.lines.count) lines"] : [] },

    Rule(
        description: "a module imports what the architecture lets it",
        broken: sample("Sources/RingBuffer/A.swift", "@testable import RingTransport\n"),
        kept: sample("Sources/RingTransport/A.swift", "import RingBuffer\nimport CShim\n"),
        check: forbiddenImports),

    .line(
        "nothing stops the program on purpose",
        broken: sample("Sources/Rig/A.swift", "guard ok else { fatalError(\"no\") }"),
        kept: sample("Sources/Rig/A.swift", "try check()"), words: ["Error(", "try!", "Failure("], about: isCode
    ) { $0.contains(#/\bfatalError\(|\btry!|\bpreconditionFailure\(/#) },

    .line(
        "nothing sleeps to wait for something",
        broken: sample("Tests/RigTests/A.swift", "usleep(1000)"),
        kept: sample("Tests/RigTests/A.swift", "bell.sleep()\nfunc sleep() {"), words: ["sleep"], about: isCode
    ) {
        $0.contains(#/\b(?:usleep|nanosleep|clock_nanosleep)\(|\b(?:Thread|Task)\.sleep\b/#)
            || calls("sleep", in: $0)
    },

    .line(
        "no command goes through a shell",
        broken: sample("Sources/Rig/A.swift", "let status = system(command)"),
        kept: sample("Sources/Rig/A.swift", "throw Failure.system(error)\nstatic func system("),
        words: ["system(", "popen("], about: isCode
    ) { calls("system", in: $0) || calls("popen", in: $0) },

    .line(
        "a guest's modules do not print past their own output",
        broken: sample("Sources/GuestAgent/A.swift", "    print(\"here\")"),
        kept: sample("Sources/Rig/A.swift", "print(\"here\")"), words: ["rint("],
        about: { file in guestModules.contains { file.path.hasPrefix($0 + "/") } }
    ) { calls("print", in: $0) || calls("debugPrint", in: $0) },

    .line(
        "nothing is left for later without an issue",
        broken: sample("Sources/Rig/A.swift", "// TODO: the rest"),
        kept: sample("Sources/Rig/A.swift", "\"/tmp/name-XXXXXX\""), words: ["FIXME", "TODO", "XXX", "HACK"],
        about: { $0.path != "Tests/HouseRulesTests/Rules.swift" }
    ) { $0.contains(#/\b(?:FIXME|TODO|XXX|HACK)\b/#) },
]

/// Whether a line calls the function of that name: not a method, not a declaration, not a longer name.
private func calls(_ name: String, in line: Substring) -> Bool {
    var rest = line
    while let found = rest.range(of: name + "(") {
        let before = rest[..<found.lowerBound]
        let isPartOfMore = before.last.map { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." } ?? false
        if !isPartOfMore && !before.hasSuffix("func ") { return true }
        rest = rest[found.upperBound...]
    }
    return false
}

/// Who may import whom; `docs/architecture.md` has the picture. Tests may import anything.
private let allowedImports: [String: Set<String>] = [
    "CShim": [],
    "Clibelf": [],
    "EmbeddedSupport": [],
    "RingBuffer": ["CShim", "Synchronization"],
    "RingTransport": ["RingBuffer", "CShim", "Synchronization"],
    "USBIP": [],
    "GuestAgent": ["USBIP", "RingTransport", "RingBuffer", "CShim", "Synchronization"],
    "GuestBench": ["CShim"],
    "SocketShim": ["CSocketShim", "RingTransport", "RingBuffer", "CShim", "Synchronization"],
    "BenchReport": ["Foundation"],
    "CBench": [],
    "RingBench": ["BenchReport", "CBench", "RingBuffer", "USBIP", "CShim", "Foundation", "ArgumentParser"],
    "Rig": ["BenchReport", "Clibelf", "CShim", "Foundation", "Synchronization"],
    "ringway": ["GuestAgent"],
    "ringway-rig": ["Rig", "ArgumentParser", "Foundation"],
]

@Sendable private func forbiddenImports(_ file: SourceFile) -> [String] {
    let parts = file.path.split(separator: "/")
    guard parts.first == "Sources", parts.count > 2, file.type == "swift" else { return [] }
    let module = String(parts[1])
    guard let allowed = allowedImports[module] else { return ["\(file.path): no imports are listed for \(module)"] }
    return file.lines.compactMap { line in
        let words = line.split(separator: " ")
        guard let at = words.firstIndex(of: "import"), at + 1 < words.count,
            words[..<at].allSatisfy({ $0.hasPrefix("@") || ["public", "internal", "private", "package"].contains($0) })
        else { return nil }
        let kinds: Set<Substring> = ["struct", "class", "enum", "func", "protocol", "typealias", "var", "let"]
        let name = kinds.contains(words[at + 1]) && at + 2 < words.count ? words[at + 2] : words[at + 1]
        let imported = name.split(separator: ".").first.map(String.init) ?? ""
        return allowed.contains(imported) ? nil : "\(file.path): \(module) must not import \(imported)"
    }
}

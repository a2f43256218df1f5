// SPDX-License-Identifier: Apache-2.0

/// A package and its version, as apt names them.
struct PackageVersion: Hashable, Sendable {
    let name: String
    let version: String
}

/// One paragraph of `apt-cache show`.
struct PackageStanza: Equatable {
    let fields: [String: String]

    var name: String { fields["Package"] ?? "" }
    var version: String { fields["Version"] ?? "" }

    /// The first alternative of each dependency, without its version.
    var depends: [String] {
        (fields["Depends"] ?? "").split(separator: ",").compactMap { dependency in
            let first = dependency.split(separator: "|").first ?? ""
            return first.split { $0 == " " || $0 == "(" || $0 == ":" }.first.map(String.init)
        }
    }

    /// Reads what `apt-cache show` prints.
    static func parse(_ text: String) -> [PackageStanza] {
        var stanzas: [PackageStanza] = []
        var fields: [String: String] = [:]
        func finish() {
            if fields["Package"] != nil { stanzas.append(PackageStanza(fields: fields)) }
            fields = [:]
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty {
                finish()
            } else if !line.hasPrefix(" "), let colon = line.firstIndex(of: ":") {
                fields[String(line[..<colon])] = String(line[line.index(after: colon)...].drop { $0 == " " })
            }
        }
        finish()
        return stanzas
    }
}

/// What `apt-get --simulate install` says that it would install.
enum AptSimulation {
    /// The packages of the `Inst name (version …)` lines.
    static func parse(_ text: String) -> [PackageVersion] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count >= 3, words[0] == "Inst", words[2].hasPrefix("(") else { return nil }
            let name = words[1].split(separator: ":")[0]
            return PackageVersion(name: String(name), version: String(words[2].dropFirst()))
        }
    }
}

/// The kernel that the rig takes: four packages that belong together.
struct KernelChoice: Equatable, Sendable {
    /// As `uname -r` says it.
    let release: String
    let image: PackageVersion
    let headers: PackageVersion
    let commonHeaders: PackageVersion
    /// The build tools; they run on this machine, so their version is that of its own architecture.
    let kbuild: String

    /// Debian's package of the release's default kernel: what it depends on tells the series.
    static func metapackage(_ architecture: GuestArchitecture) -> String { "linux-image-\(architecture.debian)" }

    /// Those among apt's package names that may be a kernel image of the plain flavour or its headers.
    static func candidates(names: some Sequence<Substring>, architecture: GuestArchitecture) -> [String] {
        names.filter { release(of: $0, prefix: "linux-image-", architecture) != nil }.map(String.init).sorted()
    }

    /// The newest kernel ABI of the release's own series for which image, headers, common headers and build
    /// tools all exist. Other series (backports) are left alone: Debian's `usbip` comes from the default one.
    static func newest(stanzas: [PackageStanza], architecture: GuestArchitecture) -> KernelChoice? {
        let byName = Dictionary(stanzas.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let series = byName[metapackage(architecture)]?.depends.lazy
            .compactMap { release(of: $0[...], prefix: "linux-image-", architecture) }.first.map(seriesOf)
        return byName.values.compactMap { complete($0, among: byName, architecture) }
            .filter { series == nil || seriesOf($0.release) == series }
            .max { isOlder($0.release, $1.release) }
    }

    private static func complete(
        _ image: PackageStanza, among byName: [String: PackageStanza], _ architecture: GuestArchitecture
    ) -> KernelChoice? {
        guard let release = release(of: image.name[...], prefix: "linux-image-", architecture),
            let headers = byName["linux-headers-\(release)"],
            let common = headers.depends.first(where: { $0.hasSuffix("-common") }).flatMap({ byName[$0] }),
            let kbuild = headers.depends.first(where: { $0.hasPrefix("linux-kbuild-") }),
            byName[kbuild] != nil, headers.version == image.version, common.version == image.version
        else { return nil }
        return KernelChoice(
            release: release, image: PackageVersion(name: image.name, version: image.version),
            headers: PackageVersion(name: headers.name, version: headers.version),
            commonHeaders: PackageVersion(name: common.name, version: common.version), kbuild: kbuild)
    }

    /// `6.1.0-56-amd64` of `linux-image-6.1.0-56-amd64`; nil for other flavours, whose ABI ends in a word.
    private static func release(
        of name: Substring, prefix: String, _ architecture: GuestArchitecture
    ) -> String? {
        let suffix = "-" + architecture.debian
        guard name.hasPrefix(prefix), name.hasSuffix(suffix) else { return nil }
        let abi = name.dropFirst(prefix.count).dropLast(suffix.count)
        guard let first = abi.first, first.isNumber, let last = abi.last, last.isNumber else { return nil }
        return String(abi + suffix)
    }

    private static func seriesOf(_ release: String) -> String {
        release.split(separator: ".").prefix(2).map { String($0.prefix(while: \.isNumber)) }.joined(separator: ".")
    }

    /// Compares number by number, so that 6.1.0-9 is older than 6.1.0-10.
    static func isOlder(_ left: String, _ right: String) -> Bool {
        func numbers(_ text: String) -> [Int] { text.split { !$0.isNumber }.compactMap { Int($0) } }
        return numbers(left).lexicographicallyPrecedes(numbers(right))
    }
}

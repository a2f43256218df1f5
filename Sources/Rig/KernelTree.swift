// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The kernel of a guest: Debian's image and modules, and a tree of headers that out-of-tree modules build against.
struct KernelTree {
    let choice: KernelChoice
    let image: DebianPackage
    let architecture: GuestArchitecture
    /// Headers and build tools, merged as an installation would have them and made to find each other there.
    let headers: URL

    var release: String { choice.release }
    /// Debian's kernel itself.
    var kernel: URL { image.files.appendingPathComponent("boot/vmlinuz-\(release)") }
    /// A copy of the package's modules with the tables of depmod, which Debian makes at installation.
    let modules: URL

    /// Downloads and lays out what the cache lacks.
    init(packages: DebianPackages, cache: URL, progress: Progress) throws {
        architecture = packages.architecture
        choice = try packages.kernel()
        let fetched = try packages.fetch([choice.image, choice.headers, choice.commonHeaders])
        image = fetched[0]
        // The build tools run here, whatever the guest is.
        let native =
            architecture == .host
            ? packages : try DebianPackages(architecture: .host, cache: cache, progress: progress)
        let kbuild = try native.fetch([native.candidate(choice.kbuild)])[0]
        let stem = "\(choice.release)_\(choice.image.version)_\(kbuild.package.version)"
        headers = cache.appendingPathComponent("headers/\(stem)")
        modules = cache.appendingPathComponent("modules/\(choice.release)_\(choice.image.version)")
        try Cache.produce(headers) { try Self.layOutHeaders($0, packages: [fetched[1], fetched[2], kbuild]) }
        let release = choice.release
        try Cache.produce(modules) { try Self.layOutModules($0, image: fetched[0], release: release) }
    }

    /// The folder to give to `make -C`.
    var buildFolder: URL { headers.appendingPathComponent("usr/src/linux-headers-\(release)") }

    /// Builds the module in `source` with all of kbuild's extra warnings; any warning fails. Built once for each
    /// content of the source.
    func build(module: String, source: URL, cache: URL, progress: Progress) throws -> URL {
        let names = ["Kbuild", "\(module).c"]
        let key = try names.map { try Checksum.sha256(source.appendingPathComponent($0)) }
            .reduce("") { $0 + $1.prefix(8) }
        let folder = cache.appendingPathComponent(
            "built/\(module)-\(key)_\(headers.lastPathComponent)")
        try Cache.produce(folder) { new in
            try progress.step("kernel module \(module) for \(release)") {
                for name in names {
                    try FileManager.default.copyItem(
                        at: source.appendingPathComponent(name), to: new.appendingPathComponent(name))
                }
                try make(in: new, module: module)
            }
        }
        return folder.appendingPathComponent("\(module).ko")
    }

    private func make(in folder: URL, module: String) throws {
        let command = HostCommand(
            "make", ["-C", buildFolder.path, "M=\(folder.path)", "W=1", "modules"] + (try toolchain()),
            environment: ["LC_ALL": "C", "MAKEFLAGS": ""], timeLimit: .seconds(300))
        let output = try command.check(
            remedy: "read the compiler's words; the module needs make and gcc (package build-essential)")
        let warnings = Self.warnings(in: output.text + output.errorText)
        guard warnings.isEmpty else {
            throw RigError(
                tried: "build \(module) without a warning", happened: warnings.joined(separator: "\n"),
                remedy: "mend the source")
        }
        // Debian's own modules carry no debugging information either: it would be nine tenths of the file.
        try HostCommand(
            "\(architecture.crossPrefix)strip", ["--strip-debug", folder.appendingPathComponent("\(module).ko").path]
        ).check(remedy: "install the package binutils")
    }

    /// The compiler that Debian built the kernel with where this machine has it, else its default one.
    private func toolchain() throws -> [String] {
        let variables = try String(
            contentsOf: buildFolder.appendingPathComponent(".kernelvariables"), encoding: .utf8)
        let prefix = architecture.crossPrefix
        let named = Self.compiler(inVariables: variables).map { prefix + $0 }
        guard let compiler = [named, prefix + "gcc"].compactMap({ $0 }).first(where: { HostCommand.find($0) != nil })
        else {
            throw RigError(
                tried: "build a kernel module for \(architecture.debian)", happened: "there is no \(prefix)gcc",
                remedy: prefix.isEmpty
                    ? "install the package gcc" : "install the package gcc-\(architecture.rawValue)-linux-gnu")
        }
        return ["CC=\(compiler)"] + (prefix.isEmpty ? [] : ["CROSS_COMPILE=\(prefix)"])
    }

    /// `gcc-12` of the line `CC = … $(CROSS_COMPILE)gcc-12`.
    static func compiler(inVariables text: String) -> String? {
        let line = text.split(separator: "\n").first { $0.hasPrefix("CC =") || $0.hasPrefix("CC=") }
        return line?.components(separatedBy: "$(CROSS_COMPILE)").last.map { $0.trimmingCharacters(in: .whitespaces) }
    }

    /// The compiler's and modpost's warnings. kbuild's own, that this compiler is another patch level of the one which
    /// built the kernel, is no word on the module.
    static func warnings(in output: String) -> [String] {
        output.split(separator: "\n").map(String.init).filter { line in
            line.lowercased().contains("warning") && !line.contains("the compiler differs from the one")
        }
    }

    private static func layOutHeaders(_ tree: URL, packages: [DebianPackage]) throws {
        for package in packages {
            try HostCommand("cp", ["-a", package.files.path + "/.", tree.path], timeLimit: .seconds(300)).check()
        }
        let sources = tree.appendingPathComponent("usr/src")
        for name in try FileManager.default.contentsOfDirectory(atPath: sources.path) {
            try fixPaths(sources.appendingPathComponent("\(name)/Makefile"))
        }
    }

    /// The package's Makefile includes another one at its installed place; here both lie somewhere else.
    private static func fixPaths(_ makefile: URL) throws {
        guard let text = try? String(contentsOf: makefile, encoding: .utf8), text.contains("/usr/src/") else { return }
        let moved = relocated(makefile: text)
        try Data(moved.utf8).write(to: makefile)
    }

    static func relocated(makefile: String) -> String {
        makefile.replacingOccurrences(of: "/usr/src/", with: "$(dir $(lastword $(MAKEFILE_LIST)))../")
    }

    private static func layOutModules(_ tree: URL, image: DebianPackage, release: String) throws {
        let source = image.files.appendingPathComponent("lib/modules/\(release)")
        let target = tree.appendingPathComponent("lib/modules")
        try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
        // Linked and not copied: 300 MB that nobody changes.
        try HostCommand("cp", ["-al", source.path, target.path], timeLimit: .seconds(300)).check()
        try depmod(tree, release: release)
    }

    /// Makes the tables that modprobe reads for the modules below `tree`.
    static func depmod(_ tree: URL, release: String) throws {
        try HostCommand("depmod", ["-b", tree.path, release]).check(remedy: "install the package kmod")
    }
}

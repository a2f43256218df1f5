// SPDX-License-Identifier: Apache-2.0

/// Which module files a set of kernel modules needs, from the text of depmod's tables.
struct ModuleClosure {
    /// The file of each module, by name, with the names that it needs.
    private var files: [String: (path: String, needs: [String])] = [:]
    private var builtin: Set<String> = []

    /// - Parameters:
    ///   - dependencies: the text of `modules.dep`.
    ///   - builtin: the text of `modules.builtin`.
    ///   - soft: the text of `modules.softdep`.
    init(dependencies: String, builtin: String = "", soft: String = "") {
        for line in dependencies.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let needs = line[line.index(after: colon)...].split(separator: " ").map(Self.name)
            files[Self.name(line[..<colon])] = (String(line[..<colon]), needs)
        }
        self.builtin = Set(builtin.split(separator: "\n").map(Self.name))
        for line in soft.split(separator: "\n") { addSoft(line.split(separator: " ")) }
    }

    /// `softdep NAME pre: A B post: C`: what modprobe loads too, where it is there.
    private mutating func addSoft(_ words: [Substring]) {
        guard words.count > 2, words[0] == "softdep" else { return }
        let name = Self.name(words[1])
        let wanted = words[2...].filter { !$0.hasSuffix(":") }.map(Self.name).filter { files[$0] != nil }
        files[name]?.needs += wanted
    }

    /// `usb_storage` of `kernel/drivers/usb/storage/usb-storage.ko` and of `usb-storage`.
    static func name(_ text: some StringProtocol) -> String {
        var base = String(text)
        if let slash = base.lastIndex(of: "/") { base = String(base[base.index(after: slash)...]) }
        if let dot = base.range(of: ".ko") { base = String(base[..<dot.lowerBound]) }
        return base.replacing("-", with: "_")
    }

    /// The paths of `modules` and of everything that they need, sorted. Modules that are part of the kernel have none.
    func paths(of modules: [String]) throws -> [String] {
        var found: [String: String] = [:]
        var pending = modules.map(Self.name)
        while let name = pending.popLast() {
            guard found[name] == nil, !(files[name] == nil && builtin.contains(name)) else { continue }
            guard let file = files[name] else {
                throw RigError(
                    tried: "collect kernel modules", happened: "this kernel has no module \(name)",
                    remedy: "check the name; the module may belong to another kernel")
            }
            found[name] = file.path
            pending += file.needs
        }
        return found.values.sorted()
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The kernel modules of an image: which ones a role wants, and their files with the tables of modprobe.
enum GuestModules {
    /// What every guest has: shared memory for user space, and file systems to put on a disk.
    private static let common = [
        "uio", "usb_storage", "uas", "sd_mod", "ext4", "vfat", "nls_cp437", "nls_ascii", "loop",
        "usbhid", "hid_generic", "evdev",
        // ext4 asks for its checksum by an alias of the crypto layer, which no table of dependencies shows.
        "crc32c_generic",
    ]

    /// What it takes to find a root on a disk; which disk a machine has, nobody knows here.
    static let starter = ["ext4", "crc32c_generic", "virtio_blk", "virtio_pci", "virtio_mmio"]

    static func names(role: GuestRole, architecture: GuestArchitecture) -> [String] {
        switch role {
        // On arm64 a USB controller is often no PCI function; on seL4 never.
        case .exporter:
            common + ["xhci_pci", "ehci_pci", "usbip_host"] + (architecture == .aarch64 ? ["xhci_plat_hcd"] : [])
        case .importer: common + ["vhci_hcd"]
        }
    }

    /// Adds the modules, everything that they need, `own` modules, and modprobe's tables of just these.
    static func add(
        _ names: [String], own: [URL], tree: KernelTree, staging: URL, to contents: inout ImageContents
    ) throws {
        let folder = "lib/modules/\(tree.release)"
        let source = tree.modules.appendingPathComponent(folder)
        let target = staging.appendingPathComponent(folder)
        func table(_ name: String) -> String {
            (try? String(contentsOf: source.appendingPathComponent(name), encoding: .utf8)) ?? ""
        }
        let closure = ModuleClosure(
            dependencies: table("modules.dep"), builtin: table("modules.builtin"), soft: table("modules.softdep"))
        for path in try closure.paths(of: names) {
            let file = target.appendingPathComponent(path)
            try copy(source.appendingPathComponent(path), to: file)
            try contents.add(
                "/usr/\(folder)/\(path)", file: file, of: tree.image, named: "\(folder)/\(path)", mode: 0o644)
        }
        for module in own {
            let file = target.appendingPathComponent("extra/\(module.lastPathComponent)")
            try copy(module, to: file)
            contents.add("/usr/\(folder)/extra/\(module.lastPathComponent)", file: file, mode: 0o644, origin: "ringway")
        }
        for name in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
            try copy(source.appendingPathComponent(name), to: target.appendingPathComponent(name))
        }
        try KernelTree.depmod(staging, release: tree.release)
        for name in ["modules.dep", "modules.alias", "modules.softdep", "modules.symbols", "modules.builtin"] {
            let file = target.appendingPathComponent(name)
            guard FileManager.default.fileExists(atPath: file.path) else { continue }
            contents.add("/usr/\(folder)/\(name)", file: file, mode: 0o644, origin: "depmod")
        }
    }

    private static func copy(_ file: URL, to target: URL) throws {
        let files = FileManager.default
        guard files.fileExists(atPath: file.path) else { return }
        try files.createDirectory(at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try files.copyItem(at: file, to: target)
    }
}

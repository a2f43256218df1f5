// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The device tree of an aarch64 machine, with memory in it that another machine has, too: as a guest of seL4 finds it,
/// reserved, and described by a node that `ringway_uio` binds to.
enum DeviceTree {
    /// Writes the tree that QEMU makes for the machine of `arguments`, with the window added, to `url`.
    /// - Parameters:
    ///   - arguments: QEMU's for processor, machine and memory.
    ///   - address: where the window begins, in the machine's memory.
    static func write(
        to url: URL, qemu: URL, arguments: [String], window address: Int, size: Int
    ) throws {
        let plain = url.appendingPathExtension("plain")
        let source = url.appendingPathExtension("dts")
        defer { for file in [plain, source] { try? FileManager.default.removeItem(at: file) } }
        try HostCommand(qemu.path, arguments + ["-machine", "dumpdtb=\(plain.path)"]).check()
        let text = try compiler(["-I", "dtb", "-O", "dts", plain.path]).text
        try Data(adding(window: address, size: size, to: text).utf8).write(to: source)
        try compiler(["-I", "dts", "-O", "dtb", "-o", url.path, source.path])
    }

    @discardableResult
    private static func compiler(_ arguments: [String]) throws -> HostCommand.Output {
        try HostCommand("dtc", ["-q"] + arguments).check(remedy: "install the package device-tree-compiler")
    }

    /// The text of a tree with the window's two nodes at the end of its root.
    static func adding(window address: Int, size: Int, to text: String) -> String {
        let reg = "<0x0 0x\(String(address, radix: 16)) 0x0 0x\(String(size, radix: 16))>"
        let nodes = """
            reserved-memory {
                #address-cells = <2>;
                #size-cells = <2>;
                ranges;
                window { reg = \(reg); no-map; };
            };
            ringway { compatible = "ringway,window"; reg = \(reg); reg-names = "memory"; };

            """
        guard let end = text.range(of: "};", options: .backwards) else { return text }
        return text[..<end.lowerBound] + nodes + text[end.lowerBound...]
    }
}

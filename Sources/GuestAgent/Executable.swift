// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// What `ringway run` must know of a program before it promises to replace its socket calls.
enum Executable {
    /// The directory of this program's own file.
    static func ownDirectory() -> String {
        guard let path = linkTarget("/proc/self/exe") else { return "/usr/bin" }
        return path.cut(atLast: "/")?.before ?? "."
    }

    /// - Returns: why the dynamic loader would not load `library` before this program; nil when it would, or
    ///   when the file's kind is not known (then execve decides).
    static func cannotBePreloaded(_ path: String, library: String, depth: Int = 0) -> String? {
        guard let start = SysfsFile.bytes(path, limit: 4096) else { return nil }
        // The kernel ignores a script's own set-id bits.
        if start.count > 2, start[0] == 0x23, start[1] == 0x21 {
            let interpreter = scriptInterpreter(start)
            guard depth < 4, !interpreter.isEmpty else { return nil }
            guard let why = cannotBePreloaded(interpreter, library: library, depth: depth + 1) else { return nil }
            return depth == 0 ? compose("its interpreter \(interpreter): \(why)") : why
        }
        if FileSystem.changesPrivileges(path) { return "it changes user, group or capabilities (set-id, setcap)" }
        if isStatic(start) { return "it is statically linked" }
        if let libraryStart = SysfsFile.bytes(library, limit: 64), isOtherMachine(start, libraryStart) {
            return "it is built for another processor, or word size, than the preload library"
        }
        return nil
    }

    /// Two ELF files that differ in class, byte order or machine (System V ABI, "ELF Header").
    static func isOtherMachine(_ program: [UInt8], _ library: [UInt8]) -> Bool {
        let magic: [UInt8] = [0x7F, 0x45, 0x4C, 0x46]
        guard program.count >= 20, library.count >= 20, program[0...3] == magic[...], library[0...3] == magic[...]
        else {
            return false
        }
        return program[4...5] != library[4...5] || program[18...19] != library[18...19]
    }

    private static func scriptInterpreter(_ start: [UInt8]) -> String {
        String(bytes: start[2...]).head(before: "\n").trimmed.parts(between: " ")[0].head(before: "\t")
    }

    /// An ELF file of 64 bits with program headers and no PT_INTERP among them (System V ABI, "Program
    /// Header"). Only headers within `start` count; linkers put them right behind the file header.
    static func isStatic(_ start: [UInt8]) -> Bool {
        guard start.count >= 64, start[0...3] == [0x7F, 0x45, 0x4C, 0x46], start[4] == 2, start[5] == 1 else {
            return false
        }
        func number(_ offset: Int, _ bytes: Int) -> Int {
            var value = 0
            for i in (0..<bytes).reversed() { value = value << 8 | Int(start[offset + i]) }
            return value
        }
        // e_phoff of a hostile file may be anything: bits above 31 cannot be within the beginning.
        guard number(36, 4) == 0 else { return false }
        let table = number(32, 4)
        let size = number(54, 2)
        let count = number(56, 2)
        guard size >= 56, count > 0 else { return false }
        for i in 0..<count {
            let header = table + i * size
            guard header + 4 <= start.count else { return false }
            if number(header, 4) == 3 { return false }
        }
        return true
    }
}

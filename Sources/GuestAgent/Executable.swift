// SPDX-License-Identifier: Apache-2.0
import CShim

/// What `ringway run` must know of a program before it promises to replace its socket calls.
enum Executable {
    /// The directory of this program's own file.
    static func ownDirectory() -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBufferPointer { readlink("/proc/self/exe", $0.baseAddress!, $0.count - 1) }
        guard count > 0 else { return "/usr/bin" }
        let path = buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return String(path[..<slash])
    }

    /// - Returns: why the dynamic loader would not load a library before this program; nil when it would, or
    ///   when the file's kind is not known (then execve decides).
    static func cannotBePreloaded(_ path: String, depth: Int = 0) -> String? {
        if FileSystem.isSetID(path) { return "it is set-user-id or set-group-id" }
        guard let start = FileSystem.beginning(path, bytes: 4096) else { return nil }
        if start.count > 2, start[0] == 0x23, start[1] == 0x21 {
            guard depth < 4, let interpreter = scriptInterpreter(start) else { return nil }
            return cannotBePreloaded(interpreter, depth: depth + 1)
        }
        return isStatic(start) ? "it is statically linked" : nil
    }

    private static func scriptInterpreter(_ start: [UInt8]) -> String? {
        let line = start.dropFirst(2).prefix { $0 != 0x0A }
        let word = line.drop { $0 == 0x20 || $0 == 0x09 }.prefix { $0 != 0x20 && $0 != 0x09 }
        return word.isEmpty ? nil : String(decoding: word, as: UTF8.self)
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

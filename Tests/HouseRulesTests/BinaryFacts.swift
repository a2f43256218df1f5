// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What an ELF file of 64 bits says about itself, as far as the guests' binaries have rules about it.
struct BinaryFacts: Equatable {
    /// 62 is x86_64, 183 is aarch64.
    var machine: UInt16 = 0
    var size = 0
    /// A section of symbols is there, which a stripped file has not.
    var hasSymbols = false
    /// PT_INTERP: a dynamic loader is asked for.
    var hasInterpreter = false
    /// PT_GNU_STACK with the execute flag.
    var hasExecutableStack = false
    /// A segment that can be written and executed.
    var hasWritableCode = false
    var needed: [String] = []
    /// The names of its dynamic symbols that it defines, and that it wants.
    var defined: Set<String> = []
    var undefined: Set<String> = []
    /// Those that it defines and that another file cannot take the place of (STV_PROTECTED).
    var protected: Set<String> = []
    /// Names that Swift's runtime libraries would bring along.
    var mentionsSwiftRuntime = false

    init() {}

    /// Nil if the bytes are no little-endian ELF file of 64 bits.
    init?(_ bytes: [UInt8]) {
        let file = Reader(bytes: bytes)
        guard bytes.count >= 64, bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2, 1]) else { return nil }
        machine = UInt16(file.number(18, 2))
        size = bytes.count
        readSegments(file)
        readSections(file)
        let libraries = ["libswiftCore", "libswift_", "libFoundation", "libdispatch"]
        mentionsSwiftRuntime = libraries.contains(where: file.contains)
    }

    private mutating func readSegments(_ file: Reader) {
        let start = file.number(32, 8)
        for index in 0..<file.number(56, 2) {
            let header = start + index * file.number(54, 2)
            let type = file.number(header, 4)
            let flags = file.number(header + 4, 4)
            if type == 3 { hasInterpreter = true }
            if type == 0x6474_E551, flags & 1 != 0 { hasExecutableStack = true }
            if type == 1, flags & 3 == 3 { hasWritableCode = true }
        }
    }

    private mutating func readSections(_ file: Reader) {
        let start = file.number(40, 8)
        let step = file.number(58, 2)
        for index in 0..<file.number(60, 2) {
            let header = start + index * step
            let (offset, size) = (file.number(header + 24, 8), file.number(header + 32, 8))
            let strings = file.number(start + file.number(header + 40, 4) * step + 24, 8)
            switch file.number(header + 4, 4) {
            case 2: hasSymbols = true
            case 6:
                for entry in stride(from: offset, to: offset + size, by: 16) where file.number(entry, 8) == 1 {
                    needed.append(file.text(strings + file.number(entry + 8, 8)))
                }
            case 11:
                for entry in stride(from: offset + 24, to: offset + size, by: 24) {
                    let name = file.text(strings + file.number(entry, 4))
                    if file.number(entry + 6, 2) == 0 { undefined.insert(name) } else { defined.insert(name) }
                    if file.number(entry + 5, 1) & 3 == 3 { protected.insert(name) }
                }
            default: break
            }
        }
    }
}

/// Numbers and text in a file; what lies outside reads as zero.
private struct Reader {
    let bytes: [UInt8]

    func number(_ offset: Int, _ count: Int) -> Int {
        guard offset >= 0, offset + count <= bytes.count else { return 0 }
        return bytes.withUnsafeBytes { raw in
            switch count {
            case 2: Int(raw.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            case 4: Int(raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            default: Int(truncatingIfNeeded: raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            }
        }
    }

    func text(_ offset: Int) -> String {
        guard offset >= 0, offset < bytes.count else { return "" }
        let end = bytes[offset...].firstIndex(of: 0) ?? bytes.endIndex
        return String(decoding: bytes[offset..<end], as: UTF8.self)
    }

    func contains(_ text: String) -> Bool {
        Data(bytes).range(of: Data(text.utf8)) != nil
    }
}

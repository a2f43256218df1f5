// SPDX-License-Identifier: Apache-2.0
import Clibelf
import Foundation

/// What the dynamic loader would read of an ELF file.
struct ElfFile: Equatable, Sendable {
    /// `EM_X86_64`, `EM_AARCH64`: a library of another machine is no candidate.
    let machine: UInt16
    /// DT_NEEDED, in order.
    let needed: [String]
    /// PT_INTERP; nil for a library and for a static program.
    let interpreter: String?
    /// DT_SONAME
    let name: String?

    /// Reads `url`; nil where it is no ELF file.
    init?(reading url: URL) throws {
        guard elf_version(UInt32(EV_CURRENT)) != UInt32(EV_NONE) else { throw Self.failure(url) }
        let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw RigError(
                tried: "read \(url.path)", happened: String(cString: strerror(errno)),
                remedy: "check that the file is there and may be read")
        }
        defer { close(descriptor) }
        guard let elf = elf_begin(descriptor, ELF_C_READ, nil) else { throw Self.failure(url) }
        defer { elf_end(elf) }
        guard elf_kind(elf) == ELF_K_ELF else { return nil }
        var header = GElf_Ehdr()
        guard gelf_getehdr(elf, &header) != nil else { throw Self.failure(url) }
        machine = header.e_machine
        var dynamic = false
        var path: String?
        try Self.eachSegment(elf, url) { header in
            if header.p_type == UInt32(PT_DYNAMIC) { dynamic = true }
            if header.p_type == UInt32(PT_INTERP) { path = try Self.text(of: header, elf, url) }
        }
        interpreter = path
        var needed: [String] = []
        var name: String?
        let found = try Self.eachDynamicEntry(elf, url) { tag, text in
            if tag == Int64(DT_NEEDED) { needed.append(text) } else { name = text }
        }
        guard found || !dynamic else {
            throw RigError(
                tried: "read \(url.path) as ELF", happened: "it is dynamic, and its dynamic section is not there",
                remedy: "check that the file is whole")
        }
        self.needed = needed
        self.name = name
    }

    private static func failure(_ url: URL) -> RigError {
        let words = elf_errmsg(-1).map { String(cString: $0) } ?? "libelf gives no reason"
        return RigError(tried: "read \(url.path) as ELF", happened: words, remedy: "check that the file is whole")
    }

    private static func eachSegment(
        _ elf: OpaquePointer, _ url: URL, _ body: (GElf_Phdr) throws -> Void
    ) throws {
        var count = 0
        guard elf_getphdrnum(elf, &count) == 0 else { throw failure(url) }
        for index in 0..<count {
            var header = GElf_Phdr()
            guard gelf_getphdr(elf, Int32(index), &header) != nil else { throw failure(url) }
            try body(header)
        }
    }

    private static func text(of segment: GElf_Phdr, _ elf: OpaquePointer, _ url: URL) throws -> String {
        guard let chunk = elf_getdata_rawchunk(elf, Int64(segment.p_offset), Int(segment.p_filesz), ELF_T_BYTE),
            let bytes = chunk.pointee.d_buf
        else { throw failure(url) }
        let raw = UnsafeRawBufferPointer(start: bytes, count: chunk.pointee.d_size)
        return String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// Calls `body` with each DT_NEEDED and DT_SONAME; false where there is no dynamic section.
    private static func eachDynamicEntry(
        _ elf: OpaquePointer, _ url: URL, _ body: (Int64, String) -> Void
    ) throws -> Bool {
        var section: OpaquePointer?
        var found = false
        while let next = elf_nextscn(elf, section) {
            section = next
            var header = GElf_Shdr()
            guard gelf_getshdr(next, &header) != nil else { throw failure(url) }
            guard header.sh_type == UInt32(SHT_DYNAMIC), header.sh_entsize > 0, let data = elf_getdata(next, nil)
            else { continue }
            found = true
            for index in 0..<Int32(header.sh_size / header.sh_entsize) {
                var entry = GElf_Dyn()
                guard gelf_getdyn(data, index, &entry) != nil else { throw failure(url) }
                guard entry.d_tag == Int64(DT_NEEDED) || entry.d_tag == Int64(DT_SONAME) else { continue }
                guard let text = elf_strptr(elf, Int(header.sh_link), Int(entry.d_un.d_val)) else { throw failure(url) }
                body(entry.d_tag, String(cString: text))
            }
        }
        return found
    }
}

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
        let segments = try Self.segments(elf, url)
        interpreter = try segments.last { $0.p_type == UInt32(PT_INTERP) }.map {
            Self.string(in: try Self.chunk($0.p_offset, $0.p_filesz, ELF_T_BYTE, elf, url), at: 0)
        }
        let entries = try segments.last { $0.p_type == UInt32(PT_DYNAMIC) }.map { try Self.entries(of: $0, elf, url) }
        let names = try Self.names(of: entries ?? [], segments, elf, url)
        needed = names.filter { $0.tag == DT_NEEDED }.map(\.text)
        name = names.last { $0.tag == DT_SONAME }?.text
    }

    private static func failure(_ url: URL) -> RigError {
        let words = elf_errmsg(-1).map { String(cString: $0) } ?? "it names places that it does not have"
        return RigError(tried: "read \(url.path) as ELF", happened: words, remedy: "check that the file is whole")
    }

    private static func segments(_ elf: OpaquePointer, _ url: URL) throws -> [GElf_Phdr] {
        var count = 0
        guard elf_getphdrnum(elf, &count) == 0 else { throw failure(url) }
        return try (0..<Int32(count)).map { index in
            var header = GElf_Phdr()
            guard gelf_getphdr(elf, index, &header) != nil else { throw failure(url) }
            return header
        }
    }

    private static func chunk(
        _ offset: UInt64, _ size: UInt64, _ type: Elf_Type, _ elf: OpaquePointer, _ url: URL
    ) throws -> UnsafeMutablePointer<Elf_Data> {
        guard let offset = Int64(exactly: offset), let size = Int(exactly: size),
            let chunk = elf_getdata_rawchunk(elf, offset, size, type), chunk.pointee.d_buf != nil
        else { throw failure(url) }
        return chunk
    }

    /// The string that begins at `offset`; it ends with the chunk at the latest.
    private static func string(in chunk: UnsafeMutablePointer<Elf_Data>, at offset: Int) -> String {
        let raw = UnsafeRawBufferPointer(start: chunk.pointee.d_buf, count: chunk.pointee.d_size)
        return String(decoding: raw.dropFirst(offset).prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The dynamic section, found as the loader finds it: a stripped file need not have section headers.
    private static func entries(of segment: GElf_Phdr, _ elf: OpaquePointer, _ url: URL) throws -> [GElf_Dyn] {
        let data = try chunk(segment.p_offset, segment.p_filesz, ELF_T_DYN, elf, url)
        let size = gelf_fsize(elf, ELF_T_DYN, 1, UInt32(EV_CURRENT))
        var entries: [GElf_Dyn] = []
        for index in 0..<Int32(data.pointee.d_size / max(size, 1)) {
            var entry = GElf_Dyn()
            guard gelf_getdyn(data, index, &entry) != nil else { throw failure(url) }
            if entry.d_tag == Int64(DT_NULL) { break }
            entries.append(entry)
        }
        return entries
    }

    /// Each DT_NEEDED and DT_SONAME with its text.
    private static func names(
        of entries: [GElf_Dyn], _ segments: [GElf_Phdr], _ elf: OpaquePointer, _ url: URL
    ) throws -> [(tag: Int32, text: String)] {
        let named = entries.filter { $0.d_tag == Int64(DT_NEEDED) || $0.d_tag == Int64(DT_SONAME) }
        if named.isEmpty { return [] }
        // The table's address is the one that it has in memory.
        guard let address = entries.last(where: { $0.d_tag == Int64(DT_STRTAB) })?.d_un.d_ptr,
            let size = entries.last(where: { $0.d_tag == Int64(DT_STRSZ) })?.d_un.d_val,
            let segment = segments.first(where: {
                $0.p_type == UInt32(PT_LOAD) && address >= $0.p_vaddr && address - $0.p_vaddr < $0.p_filesz
            })
        else { throw failure(url) }
        let (offset, beyond) = (address - segment.p_vaddr).addingReportingOverflow(segment.p_offset)
        guard !beyond else { throw failure(url) }
        let table = try chunk(offset, size, ELF_T_BYTE, elf, url)
        return try named.map { entry in
            guard entry.d_un.d_val < size else { throw failure(url) }
            return (Int32(entry.d_tag), string(in: table, at: Int(entry.d_un.d_val)))
        }
    }
}

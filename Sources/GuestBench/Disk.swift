// SPDX-License-Identifier: Apache-2.0
import CShim

/// Reads and writes of a disk past the page cache, one behind the other.
enum Disk {
    static func read(_ node: String, _ size: Int, _ count: Int) -> Result<Times, Problem> {
        move(node, O_RDONLY, size, count, tried: "read") { fd, buffer, offset in pread(fd, buffer, size, offset) }
    }

    /// Writes what `content` begins with; it has at least `size` times `count` bytes.
    static func write(_ node: String, _ size: Int, _ count: Int, content: String) -> Result<Times, Problem> {
        let file = content.withCString { cs_open($0, O_RDONLY | O_CLOEXEC, 0) }
        guard file >= 0 else { return .failure(Problem("open", content)) }
        defer { close(file) }
        // Filled before the clock starts, for each request.
        return move(
            node, O_RDWR, size, count, tried: "write",
            prepare: { buffer, offset in pread(file, buffer, size, offset) == size }
        ) { fd, buffer, offset in pwrite(fd, buffer, size, offset) }
    }

    private static func move(
        _ node: String, _ access: Int32, _ size: Int, _ count: Int, tried: String,
        prepare: (UnsafeMutableRawPointer, Int) -> Bool = { _, _ in true },
        _ request: (Int32, UnsafeMutableRawPointer, Int) -> Int
    ) -> Result<Times, Problem> {
        let fd = node.withCString { cs_open($0, access | direct | O_CLOEXEC, 0) }
        guard fd >= 0 else { return .failure(Problem("open", node)) }
        defer { close(fd) }
        guard let buffer = buffer(atLeast: size) else { return .failure(Problem("get memory for", node)) }
        var times = Times(bytes: size * count, count: count)
        for i in 0..<count {
            guard prepare(buffer, i * size) else { return .failure(Problem("read what to write to", node)) }
            times.begin()
            let moved = request(fd, buffer, i * size)
            times.end()
            guard moved == size else { return .failure(Problem(tried, node)) }
        }
        return .success(times)
    }

    /// In one piece of a huge page where the kernel has one: of small pages lying about, one request of 1 MiB would be
    /// far more segments than a USB controller takes, and be split into as many commands. For the process's life.
    private static func buffer(atLeast size: Int) -> UnsafeMutableRawPointer? {
        let huge = 2 << 20
        let length = (size + huge - 1) / huge * huge + huge
        let map = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let map, map != cs_map_failed() else { return nil }
        let start = UnsafeMutableRawPointer(bitPattern: (UInt(bitPattern: map) + UInt(huge) - 1) & ~(UInt(huge) - 1))
        guard let start else { return nil }
        madvise(start, length - huge, hugePages)
        // Every page is there before the clock starts.
        start.initializeMemory(as: UInt8.self, repeating: 0xA5, count: length - huge)
        return start
    }

    /// MADV_HUGEPAGE.
    private static let hugePages: Int32 = 14
    /// O_DIRECT, of which not every libc's header tells the importer.
    #if arch(arm64)
    private static let direct: Int32 = 0o200000
    #else
    private static let direct: Int32 = 0o40000
    #endif
}

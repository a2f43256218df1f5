// SPDX-License-Identifier: Apache-2.0

/// The fuzzer's bytes, read from the front as decisions; zeros behind their end.
struct Input {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isEmpty: Bool { position >= bytes.count }

    mutating func byte() -> UInt8 {
        guard position < bytes.count else { return 0 }
        position += 1
        return bytes[position - 1]
    }

    mutating func word() -> UInt32 { (0..<4).reduce(0) { word, _ in word << 8 | UInt32(byte()) } }
    mutating func short() -> UInt16 { UInt16(byte()) << 8 | UInt16(byte()) }
    mutating func bool() -> Bool { byte() & 1 != 0 }

    /// 0 up to `count` - 1.
    mutating func below(_ count: Int) -> Int { count <= 1 ? 0 : Int(count > 256 ? short() : UInt16(byte())) % count }

    /// At most so many of the next bytes.
    mutating func bytes(_ count: Int) -> [UInt8] {
        let end = min(bytes.count, position + max(0, count))
        defer { position = end }
        return Array(bytes[position..<end])
    }

    mutating func rest() -> [UInt8] { bytes(bytes.count) }

    /// One of these, or any number: what stands at the edges is tried often.
    mutating func number(_ edges: UInt32...) -> UInt32 {
        let choice = Int(byte())
        return choice < 0xC0 ? edges[choice % edges.count] : word()
    }
}

/// Private memory of exactly this size: one byte beyond is an error that the sanitizer sees.
func withExactly<R>(_ bytes: [UInt8], _ body: (UnsafeMutableRawBufferPointer) -> R) -> R {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    return body(copy)
}

// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// The family of a program's TCP socket: it decides which listener a program gets and what its addresses look like.
enum Family: UInt8 {
    case v4 = 0x34  // the digit stands in paths and names
    case v6 = 0x36

    init?(domain: Int32) {
        switch domain {
        case AF_INET: self = .v4
        case AF_INET6: self = .v6
        default: return nil
        }
    }

    var domain: Int32 { self == .v4 ? AF_INET : AF_INET6 }
}

/// A TCP address as a program sees it: family, address and port.
struct Endpoint {
    let family: Family
    /// The address as a big number; an IPv4 address is in `low` alone.
    let high: UInt64
    let low: UInt64
    let port: UInt16

    /// `::ffff:0.0.0.0/96`: the front of `low` in an IPv6 address that stands for an IPv4 one.
    private static var mappedPrefix: UInt64 { 0x0000_FFFF_0000_0000 }

    init(family: Family, high: UInt64, low: UInt64, port: UInt16) {
        self.family = family
        self.high = high
        self.low = low
        self.port = port
    }

    static func loopback(_ family: Family, port: UInt16) -> Endpoint {
        Endpoint(family: family, high: 0, low: family == .v4 ? 0x7F00_0001 : 1, port: port)
    }

    static func wildcard(_ family: Family, port: UInt16) -> Endpoint {
        Endpoint(family: family, high: 0, low: 0, port: port)
    }

    /// Reads an address that a program passed; nil for another family, a short one, or one that cannot be read, which
    /// the kernel refuses.
    init?(_ address: UnsafePointer<sockaddr>?, length: socklen_t) {
        guard let address, length >= MemoryLayout<sa_family_t>.size,
            raw_is_readable(address, min(Int(length), MemoryLayout<sockaddr_in6>.size)) != 0
        else { return nil }
        let raw = UnsafeRawPointer(address)
        guard let family = Family(domain: Int32(address.pointee.sa_family)) else { return nil }
        switch family {
        case .v4:
            guard length >= MemoryLayout<sockaddr_in>.size else { return nil }
            let value = raw.loadUnaligned(as: sockaddr_in.self)
            self.init(
                family: .v4, high: 0, low: UInt64(UInt32(bigEndian: value.sin_addr.s_addr)),
                port: UInt16(bigEndian: value.sin_port))
        case .v6:
            // Linux takes the form without the scope as well (RFC 2133): 24 bytes.
            guard length >= 24 else { return nil }
            self.init(
                family: .v6, high: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
                low: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
                port: UInt16(bigEndian: raw.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
        }
    }

    /// Whether the address is this machine's loopback or the wildcard: the only ones that are mapped, so
    /// that a program's connections to other machines stay what they are.
    var isLocal: Bool {
        switch family {
        case .v4: return low == 0 || low >> 24 == 127
        case .v6: return high == 0 && (low <= 1 || isMappedLoopback)
        }
    }

    var isWildcard: Bool { high == 0 && (low == 0 || family == .v6 && low == Self.mappedPrefix) }

    private var isMappedLoopback: Bool {
        let v4 = low & 0xFFFF_FFFF
        return low & ~0xFFFF_FFFF == Self.mappedPrefix && (v4 == 0 || v4 >> 24 == 127)
    }

    /// Where a connection to this address arrives: TCP takes the wildcard for the loopback.
    var asDestination: Endpoint {
        switch (family, low) {
        case (_, 0): return .loopback(family, port: port)
        case (.v6, Self.mappedPrefix): return Endpoint(family: .v6, high: 0, low: low | 0x7F00_0001, port: port)
        default: return self
        }
    }

    /// The address that TCP would connect to this one from.
    func source(port: UInt16) -> Endpoint {
        family == .v6 && high == 0 && isMappedLoopback
            ? Endpoint(family: .v6, high: 0, low: Self.mappedPrefix | 0x7F00_0001, port: port)
            : .loopback(family, port: port)
    }

    /// Gives a program the address as the kernel would: as much as there is room for, and the full length. The kernel
    /// writes there first: bad pointers are its to refuse.
    func write(
        to address: UnsafeMutablePointer<sockaddr>?, length: UnsafeMutablePointer<socklen_t>?, of fd: Int32
    ) -> Int32 {
        guard let address, let length, raw_is_readable(length, MemoryLayout<socklen_t>.size) != 0 else {
            return fail(EFAULT)
        }
        guard Int32(bitPattern: length.pointee) >= 0 else { return fail(EINVAL) }
        let room = Int(length.pointee)
        let size = family == .v4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
        let target = UnsafeMutableRawPointer(address)
        var kind: Int32 = 0
        guard Kernel.canWrite(fd, target, min(room, size)),
            raw_getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, length) != -EFAULT
        else { return fail(EFAULT) }
        switch family {
        case .v4:
            var value = sockaddr_in()
            value.sin_family = sa_family_t(AF_INET)
            value.sin_port = port.bigEndian
            value.sin_addr.s_addr = UInt32(truncatingIfNeeded: low).bigEndian
            length.pointee = copy(&value, MemoryLayout<sockaddr_in>.size, to: target, room: room)
        case .v6:
            var value = sockaddr_in6()
            value.sin6_family = sa_family_t(AF_INET6)
            value.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &value) { bytes in
                bytes.storeBytes(of: high.bigEndian, toByteOffset: 8, as: UInt64.self)
                bytes.storeBytes(of: low.bigEndian, toByteOffset: 16, as: UInt64.self)
            }
            length.pointee = copy(&value, MemoryLayout<sockaddr_in6>.size, to: target, room: room)
        }
        return 0
    }

    private func copy(
        _ value: UnsafeRawPointer, _ size: Int, to target: UnsafeMutableRawPointer, room: Int
    ) -> socklen_t {
        let count = room < size ? room : size
        target.copyMemory(from: value, byteCount: count)
        return socklen_t(size)
    }
}

/// Sets errno and returns -1, as every replaced call does when it fails.
func fail(_ error: Int32) -> Int32 {
    shim_set_errno(error)
    return -1
}

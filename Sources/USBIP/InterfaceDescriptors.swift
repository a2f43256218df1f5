// SPDX-License-Identifier: Apache-2.0

/// What the interfaces in a device's descriptors say that they are: class << 16 | subclass << 8 | protocol of each
/// setting (table 9-12 of the USB specification, revision 2.0), also of those that a kernel passes over.
public enum InterfaceDescriptors {
    /// - Parameters:
    ///   - untrustedBytes: one configuration is in them.  - start: behind its own descriptor.  - end: of it.
    @inline(never)
    static func read(_ untrustedBytes: [UInt8], from start: Int, to end: Int, into found: inout [UInt32]) {
        var position = start
        while position + 2 <= end {
            let length = Int(untrustedBytes[position])
            guard length >= 2, position + length <= end else { break }
            if untrustedBytes[position + 1] == 4, length >= 9 {
                var triple: UInt32 = 0
                for i in 5..<8 { triple = triple << 8 | UInt32(untrustedBytes[position + i]) }
                found.append(triple)
            }
            position += length
        }
    }

    /// - Parameter untrustedBytes: a device's descriptor and all of its configurations, as `descriptors` in sysfs has
    ///   them (Documentation/ABI/stable/sysfs-bus-usb).
    @inline(never)
    public static func all(_ untrustedBytes: [UInt8]) -> [UInt32] {
        var found: [UInt32] = []
        var position = 18
        while position + 9 <= untrustedBytes.count {
            let total = Int(untrustedBytes[position + 2]) | Int(untrustedBytes[position + 3]) << 8
            let end = min(position + max(total, 9), untrustedBytes.count)
            read(untrustedBytes, from: position + 9, to: end, into: &found)
            position = end
        }
        return found
    }

    @inline(never)
    public static func all(_ interfaces: [InterfaceRecord]) -> [UInt32] {
        var found: [UInt32] = []
        for interface in interfaces { found.append(interface.triple) }
        return found
    }
}

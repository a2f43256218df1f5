// SPDX-License-Identifier: Apache-2.0

/// What the interfaces in a device's descriptors say that they are: class << 16 | subclass << 8 | protocol of each
/// setting (table 9-12 of the USB specification, revision 2.0), also of those that a kernel passes over.
public enum InterfaceDescriptors {
    /// - Parameters:
    ///   - untrustedBytes: descriptors.  - start: where the first one to look at begins.
    /// - Returns: whether the last one ends where the bytes do.
    @inline(never) @discardableResult
    static func read(_ untrustedBytes: [UInt8], from start: Int, into found: inout [UInt32]) -> Bool {
        let end = untrustedBytes.count
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
        return position == end
    }

    @inline(never)
    public static func all(_ interfaces: [InterfaceRecord]) -> [UInt32] {
        var found: [UInt32] = []
        for interface in interfaces { found.append(interface.triple) }
        return found
    }

    /// - Parameters:
    ///   - interfaces: those that are set, in any case.
    ///   - untrustedBytes: a device's descriptor and all of its configurations, as `descriptors` in sysfs has them
    ///     (Documentation/ABI/stable/sysfs-bus-usb): the kernel has cut each where a descriptor does not fit.
    /// - Returns: nil when they are anything else.
    @inline(never)
    public static func all(_ interfaces: [InterfaceRecord], _ untrustedBytes: [UInt8]) -> [UInt32]? {
        var found = all(interfaces)
        return read(untrustedBytes, from: 0, into: &found) ? found : nil
    }
}

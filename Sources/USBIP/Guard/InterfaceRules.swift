// SPDX-License-Identifier: Apache-2.0

/// Which interfaces one device may show: what is left of a policy when the device is known. The first rule whose class
/// fits decides. Nothing is allowed that no rule names.
public final class InterfaceRules: Sendable {
    /// One rule: class, subclass and protocol in 24 bits, the bits of them that count in the next 24, then 15 bits
    /// with the number of the policy's line, and one for "deny".
    private let rules: [UInt64]

    /// The highest number that a rule keeps.
    public static let lineLimit = 32767

    /// Bits of an interface's class, of its class and subclass, and of all three.
    public static let classMask: UInt32 = 0xFF_0000
    public static let subClassMask: UInt32 = 0xFF_FF00
    public static let protocolMask: UInt32 = 0xFF_FFFF

    public init(_ rules: [UInt64]) { self.rules = rules }

    /// - Parameters:
    ///   - interface: class << 16 | subclass << 8 | protocol.  - mask: which of its bits count; 0 for any interface.
    ///   - line: number of the policy's line, for messages.
    public static func rule(_ interface: UInt32, mask: UInt32, line: Int, denies: Bool) -> UInt64 {
        UInt64(interface & mask) | UInt64(mask) << 24 | UInt64(line & 0x7FFF) << 48 | (denies ? 1 << 63 : 0)
    }

    /// - Parameter interface: as above; nil while no interface is known: then only a rule for all of them decides.
    /// - Returns: the line that denies it, 0 when none allows it; nil when it is allowed, or nothing can be said yet.
    @inline(never)
    public func denial(_ interface: UInt32?) -> Int? {
        for rule in rules {
            let mask = UInt32(truncatingIfNeeded: rule >> 24) & Self.protocolMask
            if let interface {
                guard (interface ^ UInt32(truncatingIfNeeded: rule)) & mask == 0 else { continue }
            } else if mask != 0 {
                return nil
            }
            return rule >> 63 == 0 ? nil : Int(rule >> 48 & 0x7FFF)
        }
        return 0
    }
}

extension InterfaceRecord {
    /// class << 16 | subclass << 8 | protocol.
    public var triple: UInt32 {
        UInt32(interfaceClass) << 16 | UInt32(interfaceSubClass) << 8 | UInt32(interfaceProtocol)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How the sides wake each other:
/// `none`, `uio:NAME`, `generic-uio:NAME[,map=N]`, `connection:NAME[,ring=NAME]`, `gpio-keys:NAME,page=0xADDRESS` or
/// `eventfd:RX,TX`.
public final class DoorbellSpecification: Sendable {
    public enum Kind: UInt8, Sendable {
        /// No doorbell: this side polls.
        case none
        /// A device of `ringway_uio`: its interrupt, and its doorbell page or ivshmem's registers.
        case uio
        /// A device of the kernel's `uio_pdrv_genirq`; the peer is woken by a store into one of its maps.
        case genericUIO
        /// A connection of the CAmkES VM, through the module `connection`.
        case connection
        /// An interrupt that the kernel's `gpio_keys` reports as a key; the peer is woken by a store through /dev/mem.
        case gpioKeys
        /// Two inherited eventfds: one that wakes this side, one that wakes the peer.
        case eventfd
    }

    public let kind: Kind
    /// As it is written.
    public let text: String
    /// Of the device whose interrupt wakes this side.
    let name: String
    /// Of the device through which the peer is woken.
    let ring: String
    /// The map of that device, the address of the page in /dev/mem, or the eventfd that wakes the peer.
    let place: UInt64
    /// The eventfd that wakes this side.
    let receive: Int32

    private init(
        _ kind: Kind, text: String, name: String = "", ring: String = "", place: UInt64 = 0, receive: Int32 = -1
    ) {
        self.kind = kind
        self.text = text
        self.name = name
        self.ring = ring
        self.place = place
        self.receive = receive
    }

    public static let none = DoorbellSpecification(.none, text: "none")

    /// - Throws: kind `badSpecification`.
    public static func parse(_ text: String) throws(TransportError) -> DoorbellSpecification {
        guard let found = understand(text) else {
            throw TransportError(
                .badSpecification,
                "`\(text)` is no doorbell: write none, uio:NAME, generic-uio:NAME,map=N, connection:NAME,ring=NAME, "
                    + "gpio-keys:NAME,page=0xADDRESS or eventfd:RX,TX with two different numbers")
        }
        return found
    }

    private static func understand(_ text: String) -> DoorbellSpecification? {
        if text == "none" { return DoorbellSpecification.none }
        guard let (kind, rest) = text.cut(at: ":") else { return nil }
        let (name, option) = rest.cut(at: ",") ?? (rest, "")
        guard !name.isEmpty else { return nil }
        switch kind {
        case "uio" where option.isEmpty:
            return DoorbellSpecification(.uio, text: text, name: name, ring: name)
        case "generic-uio":
            let digits = option.isEmpty ? "1" : option.rest(after: "map=") ?? ""
            guard let map = number(digits, in: 0...4) else { return nil }
            return DoorbellSpecification(.genericUIO, text: text, name: name, ring: name, place: UInt64(map))
        case "connection":
            guard let ring = option.isEmpty ? name : option.rest(after: "ring="), !ring.isEmpty else { return nil }
            return DoorbellSpecification(.connection, text: text, name: name, ring: ring)
        case "gpio-keys":
            guard let digits = option.rest(after: "page=0x"), let page = unsigned(digits, radix: 16),
                page % 4096 == 0, page >> 63 == 0
            else { return nil }
            return DoorbellSpecification(.gpioKeys, text: text, name: name, place: page)
        case "eventfd":
            guard let receive = number(name, in: 0...Int(Int32.max)), let send = number(option, in: 0...Int(Int32.max)),
                receive != send
            else { return nil }
            return DoorbellSpecification(.eventfd, text: text, place: UInt64(send), receive: Int32(receive))
        default: return nil
        }
    }
}

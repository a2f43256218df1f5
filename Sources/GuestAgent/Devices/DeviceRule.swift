// SPDX-License-Identifier: Apache-2.0
import RingTransport
import USBIP

/// Which devices are meant: `1-1.4.2`, `46f4:0001`, `46f4:0001:SERIAL` or `serial:SERIAL`.
final class DeviceRule: Equatable, Sendable {
    enum Kind: Sendable {
        case busID(BusID)
        case identity(vendor: UInt16, product: UInt16, serial: String?)
        case serial(String)
    }

    static let form = "a bus id (1-1.4), VVVV:PPPP, VVVV:PPPP:SERIAL or serial:SERIAL"

    let kind: Kind
    /// In one way of writing it: hexadecimal digits are small.
    let text: String

    /// - Returns: nil when the text is no rule.
    init?(_ text: String) {
        if let busID = BusID(text) {
            kind = .busID(busID)
            self.text = text
            return
        }
        // A rule stands in a line of words; a serial number with blanks cannot be asked for.
        guard text.byteCount <= 128, !text.copyBytes().contains(where: { $0 <= 0x20 || $0 == 0x7F }),
            let first = text.cut(at: ":"), !first.behind.isEmpty
        else { return nil }
        if first.before == "serial" {
            kind = .serial(first.behind)
            self.text = text
            return
        }
        let second = first.behind.cut(at: ":")
        guard let vendor = Self.identifier(first.before),
            let product = Self.identifier(second?.before ?? first.behind),
            second.map({ !$0.behind.isEmpty }) ?? true
        else { return nil }
        kind = .identity(vendor: vendor, product: product, serial: second?.behind)
        self.text = compose(
            "\(fourDigits(vendor)):\(fourDigits(product))\(second.map { ":" + $0.behind } ?? "")")
    }

    private static func identifier(_ text: String) -> UInt16? {
        guard text.byteCount == 4, let value = unsigned(text, radix: 16) else { return nil }
        return UInt16(truncatingIfNeeded: value)
    }

    /// A device's serial number does not cross the wire, so a rule that names one matches no remote device.
    var namesSerial: Bool {
        switch kind {
        case .busID: return false
        case .identity(_, _, let serial): return serial != nil
        case .serial: return true
        }
    }

    func matches(_ device: LocalDevice) -> Bool { matches(device.record, serial: device.serial) }

    /// - Parameter serial: the device's own; "" when it has none; nil for any.
    func matches(_ record: DeviceRecord, serial wanted: String? = "") -> Bool {
        switch kind {
        case .busID(let busID): return record.busID == busID
        case .identity(let vendor, let product, let serial):
            return record.vendor == vendor && record.product == product && Self.fits(serial, wanted)
        case .serial(let serial): return Self.fits(serial, wanted)
        }
    }

    private static func fits(_ serial: String?, _ wanted: String?) -> Bool {
        guard let serial, let wanted else { return true }
        return serial == wanted
    }

    static func == (left: DeviceRule, right: DeviceRule) -> Bool { left.text == right.text }
}

// SPDX-License-Identifier: Apache-2.0

/// The speed of a device: `enum usb_device_speed` of the kernel's include/uapi/linux/usb/ch9.h.
public enum USBSpeed: UInt32, Equatable, Sendable {
    case unknown = 0
    case low = 1
    case full = 2
    case high = 3
    case wireless = 4
    case `super` = 5
    case superPlus = 6

    /// From the text of a device's sysfs attribute `speed`, as `speed_show` of drivers/usb/core/sysfs.c
    /// writes it; one newline behind it is taken off. Nil for any other text.
    @inline(never)
    public init?(sysfs text: String) {
        var bytes = USBIP.bytes(of: text)
        if bytes.last == 0x0A { bytes.removeLast() }
        // 20000 is two lanes of 10000; the enum tells the generation, not the lanes.
        if bytes == USBIP.bytes(of: "20000") {
            self = .superPlus
            return
        }
        for number in 0...USBSpeed.superPlus.rawValue {
            guard let speed = USBSpeed(rawValue: number), USBIP.bytes(of: speed.megabits) == bytes else { continue }
            self = speed
            return
        }
        return nil
    }

    /// Mbit/s, as sysfs writes it: "1.5" to "10000", or "unknown".
    public var megabits: String {
        switch self {
        case .unknown: "unknown"
        case .low: "1.5"
        case .full: "12"
        case .high: "480"
        case .wireless: "53.3-480"
        case .super: "5000"
        case .superPlus: "10000"
        }
    }

    /// The speed's name in words.
    public var name: String {
        switch self {
        case .unknown: "unknown speed"
        case .low: "low speed"
        case .full: "full speed"
        case .high: "high speed"
        case .wireless: "wireless"
        case .super: "super speed"
        case .superPlus: "super speed plus"
        }
    }

    /// What may be written to `attach` of `vhci_hcd`: it refuses `superPlus`, which works as `super`.
    public var clamped: USBSpeed { isSuper ? .super : self }

    /// Whether the device belongs on a super-speed hub.
    public var isSuper: Bool { rawValue >= USBSpeed.super.rawValue }
}

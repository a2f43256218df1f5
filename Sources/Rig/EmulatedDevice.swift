// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A USB device that QEMU emulates for a guest. Its serial number is its name.
public struct EmulatedDevice: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        /// A disk of that many bytes, spoken to by bulk-only transport.
        case stick(Int)
        /// The same by UAS: several commands at once.
        case uas(Int)
        case keyboard
        /// Plays 16-bit stereo at 48 kHz into a file of the host. Full speed only.
        case sound
    }

    /// The controller that it is plugged into; decides the speed.
    public enum Bus: String, Sendable, CaseIterable {
        /// 480 Mbit/s.
        case ehci
        /// What the device can do, up to 5000 Mbit/s.
        case xhci

        /// QEMU's option for the controller: room for eight devices on xhci, for six on ehci.
        var controller: String { self == .ehci ? "usb-ehci,id=ehci" : "qemu-xhci,id=xhci,p2=8,p3=8" }
    }

    let name: String
    let kind: Kind
    let bus: Bus

    /// Of a disk.
    var size: Int? {
        switch kind {
        case .stick(let size), .uas(let size): size
        case .keyboard, .sound: nil
        }
    }

    /// Whether the monitor can plug it in as one device; a UAS disk is made of two.
    var canBePlugged: Bool { if case .uas = kind { false } else { true } }

    /// The device as the monitor's `device_add` wants it.
    var device: [String: String] {
        var device = ["id": name, "serial": name, "bus": "\(bus.rawValue).0"]
        switch kind {
        case .stick:
            device["driver"] = "usb-storage"
            device["drive"] = "\(name)-image"
        case .uas: device["driver"] = "usb-uas"
        case .keyboard: device["driver"] = "usb-kbd"
        case .sound:
            device["driver"] = "usb-audio"
            device["audiodev"] = "\(name)-sound"
            // Half a second: what comes in a burst is not thrown away.
            device["buffer"] = "\(500 * 192)"
        }
        return device
    }

    /// QEMU's options for the device and what stands behind it.
    func arguments(file: URL?) -> [String] {
        var words: [String] = []
        // A comma in a path is doubled.
        let path = file?.path.replacingOccurrences(of: ",", with: ",,") ?? ""
        if size != nil {
            // A node of its own, unlike a -drive, stays when the device is unplugged.
            words += ["-blockdev", "driver=raw,node-name=\(name)-image,file.driver=file,file.filename=\(path)"]
        }
        if kind == .sound {
            // Without the mixing engine the file holds the bytes that the guest sent.
            words += ["-audiodev", "wav,id=\(name)-sound,path=\(path),out.mixing-engine=off"]
        }
        let driver = device["driver"] ?? ""
        let options = device.filter { $0.key != "driver" }.map { "\($0.key)=\($0.value)" }.sorted()
        words += ["-device", "\(driver),\(options.joined(separator: ","))"]
        if case .uas = kind { words += ["-device", "scsi-hd,bus=\(name).0,drive=\(name)-image"] }
        return words
    }
}

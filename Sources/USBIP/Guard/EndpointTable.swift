// SPDX-License-Identifier: Apache-2.0

/// What an endpoint is: bmAttributes' two bits, and none.
enum EndpointType: UInt8 {
    case control, isochronous, bulk, interrupt, none
}

/// The endpoints that a device has now, as `ep_in` and `ep_out` of the kernel's `struct usb_device` hold them, and
/// the configurations that it may be set to.
///
/// Configurations are learned from what passes when the importer's kernel reads them, by the rules of
/// drivers/usb/core/config.c: whoever counts other endpoints than the kernel takes data for a header.
struct EndpointTable {
    /// Interfaces, alternate settings of one, and endpoints of one alternate setting that the kernel looks at.
    private static let interfaceLimit = 32
    private static let settingLimit = 128
    private static let endpointLimit: UInt8 = 30
    /// Entries of all configurations.
    static let entryLimit = 2048

    /// One alternate setting (slot 0), or one endpoint of it: configuration << 24 | interface << 16 | setting << 8 |
    /// type << 5 | slot.
    private var entries: [UInt32] = []
    /// What each configuration's interfaces say that they are: configuration << 24 | class, subclass, protocol.
    private var classes: [UInt32] = []
    /// The descriptor that is being read: the device's own, or a configuration.
    private var isDevice = false
    private var reading: [UInt8] = []
    /// idVendor << 16 | idProduct, as announced.
    var identity: UInt32 = 0
    /// Which interfaces the device may show; nil for any.
    var interfaces: InterfaceRules?
    /// What is wrong with the last descriptor: a number that belongs to the violation.
    private(set) var wrong: UInt32 = 0
    private var configuration: UInt32 = 0
    /// It is one that there can be: before any was set, and behind a number that no kernel knows, no interface is set.
    private var isSet = false
    /// By direction << 4 | number; 1 is in. Three bits each.
    private var low: UInt64 = .max
    private var high: UInt64 = .max

    subscript(_ slot: UInt8) -> EndpointType {
        get {
            if slot & 15 == 0 { return .control }
            let bits = (slot < 16 ? low : high) >> UInt64((slot & 15) &* 4)
            return EndpointType(rawValue: UInt8(truncatingIfNeeded: bits & 15)) ?? .none
        }
        set {
            let shift = UInt64((slot & 15) &* 4)
            let clear = ~(UInt64(15) << shift)
            let value = UInt64(newValue.rawValue) << shift
            if slot < 16 { low = low & clear | value } else { high = high & clear | value }
        }
    }

    // MARK: What is set

    /// SET_CONFIGURATION was answered: every interface has its setting 0, or its first if there is none.
    @inline(never)
    mutating func set(configuration value: UInt32) {
        configuration = value << 24
        low = .max
        high = .max
        isSet = value <= 255
        guard isSet else { return }
        for (i, entry) in entries.enumerated() where entry & 0xFF00_00FF == configuration {
            let interface = entry & 0xFFFF_0000
            let isFirst = entries.firstIndex { $0 & 0xFFFF_00FF == interface } == i
            if entry == interface || isFirst && !entries.contains(interface) { enable(entry) }
        }
    }

    /// SET_INTERFACE was answered.
    @inline(never)
    mutating func set(interface: UInt32, setting: UInt32) {
        guard isSet, interface <= 255 else { return }
        let wanted = configuration | interface << 16
        for entry in entries where entry & 0xFFFF_0000 == wanted { enable(entry, .none) }
        if setting <= 255 { enable(wanted | setting << 8) }
    }

    /// Sets the endpoints of one alternate setting. A control endpoint has both directions.
    private mutating func enable(_ setting: UInt32) {
        for entry in entries where entry & 0xFFFF_FF00 == setting {
            enable(entry, EndpointType(rawValue: UInt8(truncatingIfNeeded: entry >> 5) & 3) ?? .none)
        }
    }

    private mutating func enable(_ entry: UInt32, _ type: EndpointType) {
        let slot = UInt8(truncatingIfNeeded: entry & 31)
        guard slot & 15 != 0 else { return }
        self[slot] = type
        // The type that the entry names, also when it is being taken away.
        if entry & 0x60 == 0 { self[slot ^ 16] = type }
    }

    // MARK: What is read

    mutating func beginReading(ofDevice: Bool) {
        reading.removeAll(keepingCapacity: true)
        isDevice = ofDevice
    }

    mutating func read(_ untrustedBytes: UnsafeRawBufferPointer) { reading.append(contentsOf: untrustedBytes) }

    /// All bytes of an answer were read.
    /// - Parameter asked: bytes that were asked for. When they cannot have been all (the first look is at 9 of them),
    ///   nothing is learned, as the kernel learns nothing. An answer that is shorter than that for another reason is
    ///   taken as it is, as the kernel takes it.
    /// - Returns: what is wrong with it.
    @inline(never)
    mutating func finishReading(asked: UInt32) -> GuardViolation? {
        // Table 9-8 of the USB specification, revision 2.0: idVendor at 8, idProduct at 10. Drivers are chosen by them.
        if isDevice {
            guard reading.count >= 12, reading[1] == 1 else { return nil }
            let found =
                UInt32(reading[9]) << 24 | UInt32(reading[8]) << 16 | UInt32(reading[11]) << 8
                | UInt32(reading[10])
            wrong = found & 0xFFFF
            return found == identity ? nil : .identityChanged
        }
        guard reading.count >= 9, reading[1] == 2, reading[0] >= 9, Int(reading[0]) <= reading.count else { return nil }
        let value = UInt32(reading[5]) << 24
        wrong = value >> 24
        // A kernel that was told of more bytes than come looks at those that came, and probes drivers.
        var known = classes.count
        guard addClasses(value) else { return .denied }
        guard UInt32(reading[2]) | UInt32(reading[3]) << 8 <= asked else {
            classes.removeLast(classes.count - known)
            return nil
        }
        guard classes.count <= Self.entryLimit else { return .configurationTooLarge }
        guard Self.isSame(&classes, since: known, value) else { return .configurationChanged }
        known = entries.count
        guard learn(value) else { return .configurationTooLarge }
        return Self.isSame(&entries, since: known, value) ? nil : .configurationChanged
    }

    /// Appends what every interface says that it is, also those that the kernel passes over.
    /// - Returns: false when the policy denies one; `wrong` is its line then.
    private mutating func addClasses(_ value: UInt32) -> Bool {
        var position = Int(reading[0])
        while position + 2 <= reading.count {
            let length = Int(reading[position])
            guard length >= 2, position + length <= reading.count else { break }
            if reading[position + 1] == 4, length >= 9 {
                var triple: UInt32 = 0
                for byte in reading[(position + 5)...(position + 7)] { triple = triple << 8 | UInt32(byte) }
                classes.append(value | triple)
                if let line = interfaces?.denial(triple) {
                    wrong = UInt32(line)
                    return false
                }
            }
            position += length
        }
        return true
    }

    /// Whether what was appended for a configuration is what was known of it. What is kept stands in a row.
    private static func isSame(_ list: inout [UInt32], since known: Int, _ value: UInt32) -> Bool {
        guard let first = list.firstIndex(where: { $0 & 0xFF00_0000 == value }), first < known else { return true }
        var i = 0
        while known + i < list.count, list[first + i] == list[known + i] { i += 1 }
        let isSame = known + i == list.count && (first + i == known || list[first + i] & 0xFF00_0000 != value)
        list.removeLast(list.count - known)
        return isSame
    }

    /// Appends the entries of what was read.
    /// - Returns: false when they are too many.
    private mutating func learn(_ value: UInt32) -> Bool {
        let known = entries.count
        var position = Int(reading[0])
        /// The alternate setting whose endpoints come; all ones behind one that the kernel skips.
        var setting: UInt32 = .max
        var room: UInt8 = 0
        var interfaces = 0
        // The kernel stops where the next descriptor would not fit.
        while position + 2 <= reading.count {
            let length = Int(reading[position])
            guard length >= 2, position + length <= reading.count else { break }
            let type = reading[position + 1]
            if type == 4 {
                setting = .max
                if length >= 9 {
                    let found = value | UInt32(reading[position + 2]) << 16 | UInt32(reading[position + 3]) << 8
                    if isNew(found, since: known, &interfaces) {
                        setting = found
                        room = min(reading[position + 4], Self.endpointLimit)
                        entries.append(found)
                    }
                }
            } else if type == 5, length >= 7, setting != .max, room > 0 {
                let address = reading[position + 2]
                let number = address & 0x7F
                let entry = setting | UInt32(reading[position + 3] & 3) << 5 | UInt32(address >> 3 & 16 | number)
                if number > 0, number < 16, !isDuplicate(entry, since: known) {
                    room -= 1
                    entries.append(entry)
                }
            }
            guard entries.count <= Self.entryLimit else { return false }
            position += length
        }
        return true
    }

    /// Whether the kernel makes room for an alternate setting.
    /// - Parameter interfaces: how many there are; counts this one.
    private func isNew(_ setting: UInt32, since known: Int, _ interfaces: inout Int) -> Bool {
        var settings = 0
        for entry in entries[known...] where entry & 0x1F == 0 {
            if entry == setting { return false }
            if (entry ^ setting) & 0x00FF_0000 == 0 { settings += 1 }
        }
        if settings > 0 { return settings < Self.settingLimit }
        interfaces += 1
        return interfaces <= Self.interfaceLimit
    }

    /// `config_endpoint_is_duplicate`: in another interface, or in the same setting.
    private func isDuplicate(_ new: UInt32, since known: Int) -> Bool {
        for entry in entries[known...] where entry & 0x1F != 0 {
            let difference = entry ^ new
            if difference & 0x00FF_0000 == 0, difference & 0xFF00 != 0 { continue }
            let isControl = entry & 0x60 == 0 || new & 0x60 == 0
            if difference & (isControl ? 15 : 31) == 0 { return true }
        }
        return false
    }
}

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

    /// The configurations that were seen: index << 24 | bConfigurationValue << 16 | wTotalLength, of which the kernel
    /// takes the first look at its word; and `isWhole` once all of it has passed.
    private var headers: [UInt64] = []
    private static let isWhole: UInt64 = 1 << 32
    /// One alternate setting (slot 0), or one endpoint of it: index of the configuration << 24 | interface << 16 |
    /// setting << 8 | type << 5 | slot.
    private var entries: [UInt32] = []
    /// What each configuration's interfaces say that they are: index << 24 | class, subclass, protocol.
    private var classes: [UInt32] = []
    /// The descriptor that is being read: the device's own, or a configuration, of that index << 24.
    private var isDevice = false
    private var index: UInt32 = 0
    private var reading: [UInt8] = []
    /// idVendor << 16 | idProduct, as announced.
    var identity: UInt32 = 0
    /// Which interfaces the device may show; nil for any.
    var interfaces: InterfaceRules?
    /// What is wrong with the last descriptor: a number that belongs to the violation.
    private(set) var wrong: UInt32 = 0
    /// The index << 24 of the one that is set.
    private var configuration: UInt32 = 0
    /// It is one that was read: before any was set, and behind a number that is none's, no interface is set.
    private(set) var isSet = false
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

    /// Whether all of a configuration with that bConfigurationValue has passed.
    @inline(never)
    func isKnown(_ value: UInt32) -> Bool { find(value) != nil }

    var isAnyKnown: Bool { headers.contains { $0 & Self.isWhole != 0 } }

    private func find(_ value: UInt32) -> UInt32? {
        for header in headers where header & Self.isWhole != 0 && UInt32(header >> 16 & 0xFF) == value {
            return UInt32(truncatingIfNeeded: header) & 0xFF00_0000
        }
        return nil
    }

    /// SET_CONFIGURATION was answered: every interface has its setting 0, or its first if there is none.
    /// - Parameter isDone: false when it failed, or was withdrawn: then the exporter's kernel may have set it, may have
    ///   kept the one before, or may have none; what is said to be none is safe, since nothing goes there.
    @inline(never)
    mutating func set(configuration value: UInt32, isDone: Bool) {
        low = .max
        high = .max
        isSet = false
        guard isDone, let found = find(value) else { return }
        configuration = found
        isSet = true
        for (i, entry) in entries.enumerated() where entry & 0xFF00_00FF == configuration {
            let interface = entry & 0xFFFF_0000
            let isFirst = entries.firstIndex { $0 & 0xFFFF_00FF == interface } == i
            if entry == interface || isFirst && !entries.contains(interface) { enable(entry) }
        }
    }

    /// SET_INTERFACE was answered.
    /// - Parameter isDone: false when it failed, or was withdrawn: then the exporter's kernel has either setting, and
    ///   only endpoints that are the same in both can be framed.
    @inline(never)
    mutating func set(interface: UInt32, setting: UInt32, isDone: Bool) {
        guard isSet, interface <= 255 else { return }
        let before = (low, high)
        let wanted = configuration | interface << 16
        // What the kernel does not know it has not set.
        if !isDone, setting > 255 || !entries.contains(wanted | setting << 8) { return }
        for entry in entries where entry & 0xFFFF_0000 == wanted { enable(entry, .none) }
        if setting <= 255 { enable(wanted | setting << 8) }
        if isDone { return }
        low |= Self.differing(low, before.0)
        high |= Self.differing(high, before.1)
    }

    /// All bits of every group of four that is not the same in both.
    private static func differing(_ a: UInt64, _ b: UInt64) -> UInt64 {
        var bits = a ^ b
        bits |= bits >> 2
        bits |= bits >> 1
        return (bits & 0x1111_1111_1111_1111) &* 15
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

    /// - Parameter value: wValue of GET_DESCRIPTOR: the type, and the index.
    mutating func beginReading(_ value: UInt32) {
        reading.removeAll(keepingCapacity: true)
        isDevice = value >> 8 == 1
        index = value << 24
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
        let length = UInt32(reading[2]) | UInt32(reading[3]) << 8
        wrong = UInt32(reading[5])
        guard let place = findHeader(index | wrong << 16 | length) else { return .configurationChanged }
        let isFirst = headers[place] & Self.isWhole == 0
        // A kernel that was told of more bytes than come looks at those that came, and probes drivers.
        var known = classes.count
        guard addClasses() else { return .denied }
        guard classes.count <= Self.entryLimit else { return .configurationTooLarge }
        guard length <= asked else {
            // Too short to be taken by a kernel, so nothing is learned; what there is has to agree with what was.
            let isSame = Self.isSame(&classes, since: known, index, isPart: true)
            return isFirst || isSame ? nil : .configurationChanged
        }
        guard isFirst || Self.isSame(&classes, since: known, index) else { return .configurationChanged }
        known = entries.count
        guard learn() else { return .configurationTooLarge }
        headers[place] |= Self.isWhole
        return isFirst || Self.isSame(&entries, since: known, index) ? nil : .configurationChanged
    }

    /// Where a configuration's header stands; nil when another one is known of that index, or of that value. Kernels
    /// take the first of a value: the same under a second index, of a device that does not look at it, is the first.
    private mutating func findHeader(_ header: UInt32) -> Int? {
        for (place, known) in headers.enumerated() where UInt32(truncatingIfNeeded: known) >> 24 == header >> 24 {
            return UInt32(truncatingIfNeeded: known) == header ? place : nil
        }
        for (place, known) in headers.enumerated() where (UInt32(truncatingIfNeeded: known) ^ header) & 0xFF_0000 == 0 {
            index = UInt32(truncatingIfNeeded: known) & 0xFF00_0000
            return (UInt32(truncatingIfNeeded: known) ^ header) & 0xFFFF == 0 ? place : nil
        }
        headers.append(UInt64(header))
        return headers.count - 1
    }

    /// Appends what every interface says that it is, also those that the kernel passes over.
    /// - Returns: false when the policy denies one; `wrong` is its line then.
    private mutating func addClasses() -> Bool {
        let known = classes.count
        InterfaceDescriptors.read(reading, from: Int(reading[0]), into: &classes)
        for i in known..<classes.count {
            if let line = interfaces?.denial(classes[i]) {
                wrong = UInt32(line)
                return false
            }
            classes[i] |= index
        }
        return true
    }

    /// Whether what was appended for a configuration is what was known of it, or the beginning of that. What is kept
    /// stands in a row.
    private static func isSame(
        _ list: inout [UInt32], since known: Int, _ index: UInt32, isPart: Bool = false
    ) -> Bool {
        let count = list.count - known
        let first = list.firstIndex { $0 & 0xFF00_0000 == index } ?? known
        var i = 0
        while i < count, first + i < known, list[first + i] == list[known + i] { i += 1 }
        let isEnd = first + i >= known || list[first + i] & 0xFF00_0000 != index
        list.removeLast(count)
        return i == count && (isEnd || isPart)
    }

    /// Appends the entries of what was read.
    /// - Returns: false when they are too many.
    private mutating func learn() -> Bool {
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
                    let found = index | UInt32(reading[position + 2]) << 16 | UInt32(reading[position + 3]) << 8
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

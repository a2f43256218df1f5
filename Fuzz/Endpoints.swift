// SPDX-License-Identifier: Apache-2.0

@testable import USBIP

/// Configurations and what is set of them: the guard's table of endpoints against a plain model of how
/// drivers/usb/core/config.c and message.c count them.
func fuzzEndpoints(_ input: inout Input) {
    var table = EndpointTable()
    var plain = PlainDevice()
    while !input.isEmpty {
        switch input.byte() & 7 {
        case 0...3:
            let bytes = configuration(&input)
            let asked = input.bool() ? bytes.count : input.below(300)
            let answer = Array(bytes.prefix(asked))
            let index = input.byte() & 3
            table.beginReading(0x200 | UInt32(index))
            withExactly(answer) { table.read(UnsafeRawBufferPointer($0)) }
            let wrong = table.finishReading(asked: UInt32(asked))
            let plainWrong = plain.read(answer, asked: asked, index: index)
            must((wrong != nil) == plainWrong, "a configuration: \(String(describing: wrong)), plainly \(plainWrong)")
            // The connection ends over it.
            if wrong != nil { return }
        case 4, 5:
            let choice = input.byte()
            let value = UInt32(choice & 3) | (choice & 0x80 != 0 ? 0x100 : 0)
            let isDone = choice & 0x40 == 0
            table.set(configuration: value, isDone: isDone)
            plain.set(configuration: value, isDone: isDone)
        default:
            let interface = UInt32(input.byte() & 3)
            let choice = input.byte()
            let setting = UInt32(choice & 3)
            let isDone = choice & 0x80 == 0
            table.set(interface: interface, setting: setting, isDone: isDone)
            plain.set(interface: UInt8(interface), setting: UInt8(setting), isDone: isDone)
        }
        for slot in UInt8(0)..<32 where slot & 15 != 0 {
            must(
                table[slot] == plain.endpoints[slot] ?? .none,
                "endpoint \(slot): \(table[slot]), plainly \(String(describing: plain.endpoints[slot]))")
        }
    }
}

/// Descriptors from the input: mostly of the right shape, else any bytes.
private func configuration(_ input: inout Input) -> [UInt8] {
    var body: [UInt8] = []
    for _ in 0..<input.below(9) {
        let what = input.byte()
        switch what & 3 {
        case 0:
            body += [9, 4, what >> 2 & 3, what >> 4 & 3, input.byte() & 31, what >> 6, 0, 0, 0]
        case 1, 2: body += [7, 5, (what & 0x80) | (input.byte() & 31), what >> 2 & 3, 0, 2, 1]
        default: body += input.bytes(Int(what >> 2 & 15))
        }
    }
    let length = input.byte() < 0xE0 ? 9 + body.count : input.below(400)
    return [9, 2, UInt8(length & 255), UInt8(length >> 8), 1, input.byte() & 3, 0, 0x80, 50] + body
}

/// What a kernel knows of a device, written as plainly as can be: lists of what it parsed, searched from the front.
struct PlainDevice {
    struct Endpoint: Equatable {
        var address: UInt8
        var type: UInt8
    }
    struct Setting: Equatable {
        var interface: UInt8
        var number: UInt8
        var endpoints: [Endpoint] = []
    }

    struct Configuration {
        let value: UInt8
        let total: Int
        /// Once all of it was read; its interfaces' classes also where the kernel passes over them.
        var whole: (settings: [Setting], classes: [[UInt8]])?
    }

    /// By index.
    private var configurations: [UInt8: Configuration] = [:]
    private var current: [Setting] = []
    /// By slot: direction << 4 | number.
    private(set) var endpoints: [UInt8: EndpointType] = [:]

    /// - Returns: whether the guard has to end the connection.
    mutating func read(_ bytes: [UInt8], asked: Int, index: UInt8) -> Bool {
        guard bytes.count >= 9, bytes[1] == 2, bytes[0] >= 9, Int(bytes[0]) <= bytes.count else { return false }
        let total = Int(bytes[2]) | Int(bytes[3]) << 8
        // A second index of the same value and length is taken for the first.
        let first = configurations.first { $0.value.value == bytes[5] }
        let index = configurations[index] == nil ? first?.key ?? index : index
        let known = configurations[index] ?? Configuration(value: bytes[5], total: total)
        if known.value != bytes[5] || known.total != total { return true }
        configurations[index] = known
        let all = configurations.values.compactMap(\.whole)
        let classes = Self.classes(bytes)
        if all.reduce(classes.count, { $0 + $1.classes.count }) > EndpointTable.entryLimit { return true }
        guard total <= asked else { return known.whole.map { !$0.classes.starts(with: classes) } ?? false }
        if let whole = known.whole, whole.classes != classes { return true }
        let settings = Self.parse(bytes)
        if all.reduce(Self.size(settings), { $0 + Self.size($1.settings) }) > EndpointTable.entryLimit { return true }
        configurations[index]?.whole = (settings, classes)
        return known.whole.map { $0.settings != settings } ?? false
    }

    private static func classes(_ bytes: [UInt8]) -> [[UInt8]] {
        var classes: [[UInt8]] = []
        var rest = bytes[Int(bytes[0])...]
        while let length = rest.first.map(Int.init), length >= 2, length <= rest.count {
            let descriptor = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
            if descriptor[1] == 4, length >= 9 { classes.append(Array(descriptor[5...7])) }
        }
        return classes
    }

    private static func size(_ settings: [Setting]) -> Int { settings.reduce(0) { $0 + 1 + $1.endpoints.count } }

    /// `usb_parse_configuration`, `usb_parse_interface`, `usb_parse_endpoint`.
    private static func parse(_ bytes: [UInt8]) -> [Setting] {
        var settings: [Setting] = []
        var wanted = 0
        var open: Int?
        var rest = bytes[Int(bytes[0])...]
        while let length = rest.first.map(Int.init), length >= 2, length <= rest.count {
            let descriptor = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
            if descriptor[1] == 4 {
                open = nil
                guard length >= 9 else { continue }
                let found = Setting(interface: descriptor[2], number: descriptor[3])
                let same = settings.filter { $0.interface == found.interface }
                let interfaces = Set(settings.map(\.interface)).count
                if same.contains(where: { $0.number == found.number }) { continue }
                if same.isEmpty ? interfaces >= 32 : same.count >= 128 { continue }
                settings.append(found)
                open = settings.count - 1
                wanted = min(30, Int(descriptor[4]))
            } else if descriptor[1] == 5, length >= 7, let open, settings[open].endpoints.count < wanted {
                let endpoint = Endpoint(address: descriptor[2] & 0x8F, type: descriptor[3] & 3)
                guard descriptor[2] & 0x70 == 0, endpoint.address & 15 != 0 else { continue }
                if !isDuplicate(endpoint, settings[open], settings) { settings[open].endpoints.append(endpoint) }
            }
        }
        return settings
    }

    /// `config_endpoint_is_duplicate`: in all other interfaces, and in the same alternate setting.
    private static func isDuplicate(_ endpoint: Endpoint, _ home: Setting, _ settings: [Setting]) -> Bool {
        settings.contains { setting in
            if setting.interface == home.interface, setting.number != home.number { return false }
            return setting.endpoints.contains {
                let sameNumber = $0.address & 15 == endpoint.address & 15
                return sameNumber && ($0.address == endpoint.address || $0.type == 0 || endpoint.type == 0)
            }
        }
    }

    mutating func set(configuration: UInt32, isDone: Bool) {
        endpoints = [:]
        let found = configurations.values.first { $0.whole != nil && UInt32($0.value) == configuration }
        current = isDone ? found?.whole?.settings ?? [] : []
        for interface in Set(current.map(\.interface)).sorted() {
            let settings = current.filter { $0.interface == interface }
            if let first = settings.first(where: { $0.number == 0 }) ?? settings.first { enable(first) }
        }
    }

    mutating func set(interface: UInt8, setting: UInt8, isDone: Bool) {
        let new = current.first { $0.interface == interface && $0.number == setting }
        if !isDone, new == nil { return }
        let before = endpoints
        for old in current where old.interface == interface {
            for endpoint in old.endpoints {
                for slot in Self.slots(endpoint) { endpoints[slot] = nil }
            }
        }
        if let new { enable(new) }
        // Either of the two may be set.
        if !isDone { endpoints = endpoints.filter { before[$0.key] == $0.value } }
    }

    private mutating func enable(_ setting: Setting) {
        for endpoint in setting.endpoints {
            let type: [EndpointType] = [.control, .isochronous, .bulk, .interrupt]
            for slot in Self.slots(endpoint) { endpoints[slot] = type[Int(endpoint.type)] }
        }
    }

    private static func slots(_ endpoint: Endpoint) -> [UInt8] {
        let slot = endpoint.address & 15 | (endpoint.address & 0x80) >> 3
        return endpoint.type == 0 ? [slot, slot ^ 16] : [slot]
    }
}

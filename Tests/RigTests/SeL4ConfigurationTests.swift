// SPDX-License-Identifier: Apache-2.0
import Foundation
import FoundationXML
import Testing

@testable import Rig

/// What the two guests on seL4 are told, and what they are given, are written in three languages: they must agree.
/// None of this needs seL4, Microkit or libvmm.
struct SeL4ConfigurationTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let folder = root.appendingPathComponent("vm-configs/sel4-microkit")

    @Test(
        "a guest's device tree names the memory, the interrupts and the ports that the system description gives it",
        .enabled(if: HostCommand.find("dtc") != nil, "there is no dtc (Debian package device-tree-compiler)"),
        .enabled(if: HostCommand.find("aarch64-linux-gnu-gcc") != nil, "there is no aarch64-linux-gnu-gcc"),
        arguments: ["exporter", "importer"], ["ringway", "ringway-oneway"])
    func treeAgreesWithSystem(guest: String, variant: String) throws {
        let tree = try Self.tree(of: guest)
        let system = try SystemDescription(Self.folder.appendingPathComponent("\(variant).system"))
        let machine = try #require(system.machine(guest))

        // RAM and the window: guest-physical ranges of the tree are mapped, and nothing else is writable memory.
        let memory = try #require(tree.ranges("/memory@40000000"))
        #expect(memory.count == 2)
        #expect(machine.covers(memory[0]) && machine.covers(memory[1]))
        #expect(tree.ranges("/reserved-memory/window@60000000") == [memory[1]])
        // The device: the window, and a page that must have nothing behind it.
        let device = try #require(tree.ranges("/ringway@60000000"))
        #expect(device.count == 2)
        #expect(device[0] == memory[1])
        #expect(machine.maps.allSatisfy { !$0.range.overlaps(device[1]) })
        // An edge-triggered shared interrupt that is no hardware's of either VMM.
        let doorbell = tree.cells("/ringway@60000000", "interrupts")
        #expect(doorbell.count == 3 && doorbell[0] == 0 && doorbell[2] == 1)
        #expect(system.allInterrupts.allSatisfy { $0 != doorbell[1] + 32 })

        // Two serial ports in one mapped page, with the interrupt that this guest's VMM handles.
        let ports = tree.nodes.filter { $0.hasPrefix("/serial@") }
        #expect(ports.count == 2)
        for port in ports {
            let range = try #require(tree.ranges(port)?.first)
            #expect(machine.covers(range))
            #expect(tree.cells(port, "interrupts")[1] + 32 == machine.interrupts[0])
        }
        // The exporter's USB controller, which writes to memory by itself: that must be where the guest thinks it is.
        if guest == "exporter" {
            let usb = try #require(tree.ranges("/usb@10000000")?.first)
            #expect(machine.covers(usb))
            #expect(tree.cells("/usb@10000000", "interrupts")[1] + 32 == machine.interrupts[1])
            #expect(system.regions["exporter_ram"]?.physical == memory[0])
        }
        // The processor interface of the interrupt controller is mapped; the distributor is emulated.
        let controller = try #require(tree.ranges("/interrupt-controller@8000000"))
        #expect(machine.covers(controller[1]))
        #expect(machine.maps.allSatisfy { !$0.range.overlaps(controller[0]) })
        // What the guest is started with lies in its memory.
        let initrd = tree.cells("/chosen", "linux,initrd-start")
        #expect(memory[0].contains(initrd[0]))
    }

    @Test("the window is shared, cached, in no VMM; in the one-way variant each guest writes its own half only")
    func windowIsShared() throws {
        let shared = try SystemDescription(Self.folder.appendingPathComponent("ringway.system"))
        let oneWay = try SystemDescription(Self.folder.appendingPathComponent("ringway-oneway.system"))
        func window(_ system: SystemDescription, _ guest: String) -> [SystemDescription.Map] {
            system.machine(guest)?.maps.filter { (0x6000_0000..<0x6040_0000).contains($0.range.lowerBound) } ?? []
        }
        let (first, second) = (window(shared, "exporter"), window(shared, "importer"))
        #expect(first.map(\.region) == ["window"] && first == second && first[0].permissions == "rw")
        let (own, peer) = (window(oneWay, "exporter"), window(oneWay, "importer"))
        #expect(own.map(\.permissions) == ["rw", "r"] && peer.map(\.permissions) == ["r", "rw"])
        #expect(own.map(\.region) == ["section_a", "section_b"] && peer.map(\.region) == own.map(\.region))
        for system in [shared, oneWay] {
            #expect(system.monitorRegions.allSatisfy { $0 != "window" && !$0.hasPrefix("section") })
            #expect((window(system, "exporter") + window(system, "importer")).allSatisfy { $0.isCached })
            // Two regions at one place would be one guest's memory in the other's hands.
            let fixed = system.regions.values.compactMap(\.physical)
            for (index, range) in fixed.enumerated() {
                #expect(fixed[(index + 1)...].allSatisfy { !$0.overlaps(range) })
            }
            let wanted = [
                ["exporter_vmm 1", "importer_vmm 1"], ["ticker 1", "exporter_vmm 3"], ["ticker 2", "importer_vmm 3"],
            ]
            #expect(system.channels == wanted)
        }
        // The rest is the same: what holds of one holds of the other.
        for guest in ["exporter", "importer"] {
            let rest = [shared, oneWay].map { system in
                system.machine(guest)?.maps.filter { !(0x6000_0000..<0x6040_0000).contains($0.range.lowerBound) }
            }
            #expect(rest[0] == rest[1])
        }
    }

    @Test("without an SDK and libvmm, make sel4-demo says what they are and where they are documented, with status 2")
    func demoSaysWhatIsMissing() throws {
        let commands = [
            (["MICROKIT_SDK=", "LIBVMM="], "MICROKIT_SDK= is not set"),
            (["MICROKIT_SDK=/nowhere", "LIBVMM=/nowhere"], "MICROKIT_SDK=/nowhere holds no bin/microkit"),
        ]
        for (arguments, reason) in commands {
            // make itself says 2 of whatever fails.
            let make = try HostCommand("make", ["-s", "sel4-demo"] + arguments, directory: Self.root).run()
            #expect(make.status == 2 && make.errorText.contains(reason))
            let output = try HostCommand("env", arguments + ["mk/sel4.sh"], directory: Self.root).run()
            #expect(output.status == 2)
            #expect(output.errorText.contains(reason))
            #expect(output.errorText.contains("https://docs.sel4.systems/projects/microkit/"))
            #expect(output.errorText.contains("https://github.com/au-ts/libvmm"))
        }
        #expect(throws: RigError.self) { _ = try SeL4Kit(environment: [:]) }
    }

    @Test(
        "the scenarios for seL4 can be read",
        arguments: ["usb-disk", "six-devices", "stray-store", "stray-store-importer"])
    func scenarioParses(name: String) throws {
        let scenario = try ScenarioCatalogue.load(name, root: Self.root, in: "vm-configs/sel4-microkit/scenarios")
        #expect(scenario.guests.map(\.role) == [.exporter, .importer])
        #expect(scenario.guests.allSatisfy { $0.role == .exporter || $0.devices.isEmpty })
    }

    private static func tree(of guest: String) throws -> PrintedTree {
        let build = FileManager.default.temporaryDirectory.appendingPathComponent("ringway-sel4-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: build) }
        let make = HostCommand(
            "make",
            ["-s", "-f", folder.appendingPathComponent("Makefile").path, "device-trees", "BUILD=\(build.path)"])
        try make.check()
        // dtc's complaints are about real mistakes: a unit address that is not the node's, a missing cell.
        let blob = build.appendingPathComponent("\(guest).dtb").path
        let source = try HostCommand("dtc", ["-I", "dtb", "-O", "dts", blob]).check()
        #expect(source.errorText.isEmpty, "\(source.errorText)")
        return PrintedTree(source.text)
    }
}

/// What a Microkit system description says of memory, guests and channels.
private final class SystemDescription: NSObject, XMLParserDelegate {
    struct Region {
        let size: UInt64
        let physical: Range<UInt64>?
    }
    struct Map: Equatable {
        let region: String
        let range: Range<UInt64>
        let permissions: String
        let isCached: Bool
    }
    struct Machine {
        var maps: [Map] = []
        /// The hardware interrupts that its VMM handles: the serial ports' first.
        var interrupts: [UInt64] = []

        /// Whether maps, one behind the other, hold every byte of it.
        func covers(_ range: Range<UInt64>) -> Bool {
            var reached = range.lowerBound
            let ranges = maps.map(\.range).sorted { $0.lowerBound < $1.lowerBound }
            for map in ranges where map.contains(reached) { reached = map.upperBound }
            return reached >= range.upperBound
        }
    }

    private(set) var regions: [String: Region] = [:]
    private(set) var monitorRegions: [String] = []
    private(set) var channels: [[String]] = []
    private(set) var allInterrupts: [UInt64] = []
    private var machines: [String: Machine] = [:]
    private var current: String?
    private var interrupts: [UInt64] = []

    init(_ url: URL) throws {
        super.init()
        let parser = XMLParser(data: try Data(contentsOf: url))
        parser.delegate = self
        guard parser.parse() else { throw parser.parserError ?? CocoaError(.fileReadCorruptFile) }
    }

    func machine(_ name: String) -> Machine? { machines[name] }

    func parser(
        _ parser: XMLParser, didStartElement element: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) {
        func number(_ name: String) -> UInt64? {
            attributes[name].flatMap { text in
                let digits = text.filter { $0 != "_" }
                return digits.hasPrefix("0x") ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
            }
        }
        let name = attributes["name"] ?? ""
        switch element {
        case "memory_region":
            let size = number("size") ?? 0
            regions[name] = Region(size: size, physical: number("phys_addr").map { $0..<$0 + size })
        case "protection_domain": interrupts = []
        case "virtual_machine":
            machines[name] = Machine(interrupts: interrupts)
            current = name
        case "irq":
            interrupts.append(number("irq") ?? 0)
            allInterrupts.append(number("irq") ?? 0)
        case "map":
            let region = attributes["mr"] ?? ""
            guard let current else { return monitorRegions.append(region) }
            let start = number("vaddr") ?? 0
            machines[current]?.maps.append(
                Map(
                    region: region, range: start..<start + (regions[region]?.size ?? 0),
                    permissions: attributes["perms"] ?? "", isCached: attributes["cached"] != "false"))
        case "channel": channels.append([])
        case "end": channels[channels.count - 1].append("\(attributes["pd"] ?? "") \(attributes["id"] ?? "")")
        default: break
        }
    }

    func parser(
        _ parser: XMLParser, didEndElement element: String, namespaceURI: String?, qualifiedName: String?
    ) {
        if element == "virtual_machine" { current = nil }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Rig

/// What the CAmkES VM gives two guests, what their device trees say, and how the agent is configured are written in
/// four languages: they must agree. None of this needs a CAmkES checkout.
struct CAmkESConfigurationTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let folder = root.appendingPathComponent("vm-configs/sel4-camkes")
    private static let compiler = "aarch64-linux-gnu-gcc"

    @Test(
        "a guest's device tree names the devices and interrupts that the composition gives it, and no others",
        .enabled(if: HostCommand.find("dtc") != nil, "there is no dtc (Debian package device-tree-compiler)"),
        .enabled(if: HostCommand.find(compiler) != nil, "there is no aarch64-linux-gnu-gcc"),
        arguments: [("exporter", "vm0"), ("importer", "vm1")])
    func treeAgreesWithComposition(guest: String, vm: String) throws {
        let tree = try Self.tree(of: guest)
        let settings = try Settings(of: vm)

        // Everything that a guest can reach by itself is in the composition, and a page or more of its own.
        let devices = tree.nodes.filter { $0.hasPrefix("/serial@") || $0.hasPrefix("/usb@") }
        #expect(devices.count == (guest == "exporter" ? 3 : 2))
        for device in devices {
            let range = try #require(tree.ranges(device)?.first)
            #expect(settings.memory.contains { $0.contains(range.lowerBound) && range.upperBound <= $0.upperBound })
            #expect(settings.interrupts.contains(tree.cells(device, "interrupts")[1] + 32))
        }
        #expect(Set(devices.map { tree.cells($0, "interrupts")[1] + 32 }) == Set(settings.interrupts))
        // The VMM copies the nodes that it is told to: those of the tree, all of them.
        let kept = settings.strings("plat_keep_devices") + settings.strings("plat_keep_devices_and_subtree")
        #expect(kept.sorted() == tree.nodes.filter { $0 != "/" })
        // What it looks for itself: the interrupt controller by this name, with two cells for an address.
        #expect(tree.cells("/intc@8000000", "#address-cells") == [2])
        #expect(tree.cells("/intc@8000000", "#interrupt-cells") == [3])

        // The guest's memory lies where its controller's DMA expects it, and what it is started with lies in it.
        let ram = try #require(settings.number("ram_base"))
        let size = try #require(settings.number("ram_size"))
        #expect(settings.memory.contains(ram..<ram + size))
        #expect(settings.number("ram_paddr_base") == ram && settings.number("kernel_entry_addr") == ram)
        #expect(settings.text.contains("\"map_one_to_one\" : true"))
        #expect(size == UInt64(SeL4Board.guestMemory))
        for name in ["dtb_addr", "initrd_addr"] {
            let place = try #require(settings.number(name))
            #expect((ram + 0x300_0000..<ram + size).contains(place))
        }
    }

    @Test(
        "the two guests have no memory, no device and no interrupt in common",
        .enabled(if: HostCommand.find(compiler) != nil, "there is no aarch64-linux-gnu-gcc"))
    func guestsShareNothingElse() throws {
        let (exporter, importer) = (try Settings(of: "vm0"), try Settings(of: "vm1"))
        for range in exporter.memory { #expect(importer.memory.allSatisfy { !$0.overlaps(range) }) }
        #expect(Set(exporter.interrupts).isDisjoint(with: importer.interrupts))
        // seL4 keeps 512 MiB of this platform for memory that lies where it seems to (overlay-reserve-vm-memory.dts).
        for guest in [exporter, importer] {
            let ram = try #require(guest.number("ram_base"))
            let size = try #require(guest.number("ram_size"))
            #expect(ram >= 0x4000_0000 && ram + size <= 0x6000_0000)
        }
        // PCI's configuration space has 4 KiB a function and 8 functions a slot; a slot's interrupt is one of four.
        let layout = try Self.layout()
        for (name, serial) in [("EXPORTER", "EXPORTER_SERIAL"), ("IMPORTER", "IMPORTER_SERIAL")] {
            let slot = try #require(layout["\(name)_SLOT"])
            #expect(layout["\(name)_CONFIGURATION"] == 0x3f00_0000 + slot << 15)
            #expect(layout["\(serial)_SPI"] == 3 + slot % 4)
            #expect(layout["\(serial)_IRQ"] == 35 + slot % 4)
        }
        #expect(layout["USB_CONFIGURATION"] == 0x3f00_0000 + 3 << 15 && layout["USB_IRQ"] == 38)
    }

    @Test("a dataport and a notification each way: what one writes the other may only read, and it all fits")
    func connectionsAreOneWay() throws {
        let text = try Self.read("ringway.camkes")
        for line in [
            "connection seL4SharedDataWithCaps section_a(from vm0.section_out, to vm1.section_in);",
            "connection seL4SharedDataWithCaps section_b(from vm1.section_out, to vm0.section_in);",
            "connection seL4GlobalAsynch doorbell_of_b(from vm0.ring, to vm1.rung);",
            "connection seL4GlobalAsynch doorbell_of_a(from vm1.ring, to vm0.rung);",
            "section_a.size = SECTION_SIZE;", "section_b.size = SECTION_SIZE;",
            "vm0.section_in_access = \"R\";", "vm1.section_in_access = \"R\";",
        ] {
            #expect(text.contains(line))
        }
        // Each connection takes twice its dataport of 16 MiB of PCI memory.
        let size = try #require(try Self.layout()["SECTION_SIZE"])
        #expect(size.nonzeroBitCount == 1 && 2 * 2 * size <= 16 << 20)
    }

    @Test("the agent is told the names that the VMM gives the connections", arguments: GuestRole.allCases)
    func agentFindsConnections(role: GuestRole) throws {
        let source = try Self.read("src/connections.c")
        #expect(source.contains("{ &section_out_handle, ring_emit, NO_EVENT, \"out\" }"))
        #expect(source.contains("{ &section_in_handle, NULL, NO_EVENT, \"in\" }"))
        var setup = GuestSetup()
        setup.section = .connection
        let script = AgentSetup(role: role, setup: setup).configure
        // The exporter is side a, and writes section a.
        let (own, peer) = role == .exporter ? ("a", "b") : ("b", "a")
        #expect(script.contains("side = \(own)\n"))
        #expect(script.contains("section-\(own) = uio:out,map=1\n"))
        #expect(script.contains("section-\(peer) = uio:in,map=1\n"))
        #expect(script.contains("doorbell = connection:in,ring=out\n"))
        #expect(script.contains("channels = 14\n") && script.contains("load connection"))
    }

    @Test("without an image, make sel4-camkes-demo says what it is and where it is documented, with status 2")
    func demoSaysWhatIsMissing() throws {
        for (image, reason) in [("", "IMAGE= is not set"), ("/nowhere", "IMAGE=/nowhere is no file")] {
            // make itself says 2 of whatever fails.
            let make = try HostCommand("make", ["-s", "sel4-camkes-demo", "IMAGE=\(image)"], directory: Self.root)
                .run()
            #expect(make.status == 2 && make.errorText.contains(reason))
            let output = try HostCommand("env", ["IMAGE=\(image)", "mk/sel4-camkes.sh"], directory: Self.root).run()
            #expect(output.status == 2)
            #expect(output.errorText.contains(reason))
            #expect(output.errorText.contains("https://docs.sel4.systems/projects/camkes/setting-up.html"))
            #expect(output.errorText.contains("vm-configs/sel4-camkes"))
        }
        #expect(throws: RigError.self) { _ = try SeL4System.camkes(image: "/nowhere") }
        #expect(throws: RigError.self) { _ = try SeL4System.camkes(image: "/tmp") }
    }

    @Test("what stands in front of a function of the library's is put there by the linker, and nothing else is")
    func wrappersAreLinked() throws {
        let sources = try FileManager.default
            .contentsOfDirectory(at: Self.folder.appendingPathComponent("src"), includingPropertiesForKeys: nil)
            .map { try String(contentsOf: $0, encoding: .utf8) }
        let defined = Set(sources.flatMap { $0.matches(of: #/int __wrap_(\w+)\(.*\)\n\{/#).map { String($0.1) } })
        let list = try Self.read("CMakeLists.txt")
        // CAmkES puts nothing between two linker flags: it has to be one.
        let flags = list.matches(of: #/-Wl,(\S+)/#)
        #expect(flags.count == 1)
        let wrapped = (flags.first?.1 ?? "").split(separator: ",").map { String($0.replacing("--wrap=", with: "")) }
        #expect(defined == Set(wrapped) && defined == ["vm_inject_irq", "vm_run", "vm_guest_mem_abort_handler"])
        for name in try FileManager.default.contentsOfDirectory(atPath: Self.folder.path + "/src") {
            #expect(list.contains("    src/\(name)\n"))
        }
    }

    @Test("the scenarios for the CAmkES VM can be read", arguments: ["usb-disk", "six-devices", "stray-store"])
    func scenarioParses(name: String) throws {
        let folder = SeL4System.camkes(Self.root).scenarios
        let scenario = try ScenarioCatalogue.load(name, root: Self.root, in: folder)
        #expect(scenario.guests.map(\.role) == [.exporter, .importer])
        // The one that stores through /dev/mem has its agents use that, too.
        let section: GuestSetup.Section = name == "stray-store" ? .uio : .connection
        #expect(scenario.guests.allSatisfy { $0.setup.section == section && $0.setup.effectiveDoorbell == .uio })
    }

    private static func read(_ name: String) throws -> String {
        try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
    }

    /// The numbers that layout.h defines.
    private static func layout() throws -> [String: UInt64] {
        var numbers: [String: UInt64] = [:]
        for line in try read("layout.h").split(separator: "\n") where line.hasPrefix("#define") {
            let words = line.split(whereSeparator: \.isWhitespace)
            if words.count == 3 { numbers[String(words[1])] = number(words[2]) }
        }
        return numbers
    }

    private static func number(_ text: some StringProtocol) -> UInt64? {
        text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    }

    private static func tree(of guest: String) throws -> PrintedTree {
        let text = try HostCommand(
            compiler,
            [
                "-E", "-P", "-nostdinc", "-undef", "-x", "assembler-with-cpp", "-I\(folder.path)",
                "-DRINGWAY_\(guest.uppercased())", folder.appendingPathComponent("guest.dts").path,
            ]
        ).check()
        let source = FileManager.default.temporaryDirectory.appendingPathComponent("camkes-\(UUID().uuidString).dts")
        let blob = source.appendingPathExtension("dtb")
        defer { for file in [source, blob] { try? FileManager.default.removeItem(at: file) } }
        try Data(text.text.utf8).write(to: source)
        // dtc's complaints are about real mistakes: a unit address that is not the node's, a missing cell.
        let output = try HostCommand("dtc", ["-I", "dts", "-O", "dtb", "-o", blob.path, source.path]).check()
        #expect(output.errorText.isEmpty, "\(output.errorText)")
        return PrintedTree(try HostCommand("dtc", ["-q", "-I", "dtb", "-O", "dts", blob.path]).check().text)
    }

    /// What `devices.camkes` says of one VM, behind the preprocessor.
    private struct Settings {
        /// The VM's assignments, a line each.
        let text: String

        init(of vm: String) throws {
            let stand = FileManager.default.temporaryDirectory.appendingPathComponent("camkes-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: stand) }
            // Of the checkout's own header, all that is used here.
            let header = stand.appendingPathComponent("configurations/vm.h")
            try FileManager.default.createDirectory(
                at: header.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data("#define VAR_STRINGIZE(x) STRINGIZED(x)\n#define STRINGIZED(x) #x\n".utf8).write(to: header)
            let output = try HostCommand(
                compiler,
                [
                    "-E", "-P", "-x", "c", "-I\(stand.path)", "-I\(folder.path)",
                    folder.appendingPathComponent("qemu-arm-virt/devices.camkes").path,
                ]
            ).check()
            text = output.text.split(separator: ";")
                .map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
                .filter { $0.contains("\(vm).") }
                .joined(separator: ";\n")
        }

        /// What is behind `name = `, or `"name" :` of a structure, up to the end of that value.
        private func value(_ name: String) -> Substring? {
            if let found = text.range(of: ".\(name) = ") {
                return text[found.upperBound...].prefix { $0 != ";" }
            }
            guard let found = text.range(of: "\"\(name)\" :") else { return nil }
            return text[found.upperBound...].prefix { $0 != "," && $0 != "}" }
        }

        func number(_ name: String) -> UInt64? {
            value(name).flatMap { CAmkESConfigurationTests.number($0.filter { $0 != "\"" && $0 != " " }) }
        }

        func strings(_ name: String) -> [String] {
            (value(name) ?? "").split(separator: "\"").map(String.init)
                .filter { $0.hasPrefix("/") || $0.hasPrefix("0x") }
        }

        /// Of `untyped_mmios`: what this VM has, and nobody else.
        var memory: [Range<UInt64>] {
            strings("untyped_mmios").compactMap { text in
                let parts = text.split(separator: ":")
                guard let start = CAmkESConfigurationTests.number(parts[0]), let bits = UInt64(parts[1]) else {
                    return nil
                }
                return start..<start + 1 << bits
            }
        }

        var interrupts: [UInt64] {
            (value("dtb_irqs") ?? "").split { "[], ".contains($0) }.compactMap { UInt64($0) }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Rig

@Suite struct ScenarioParserTests {
    private static let head = """
        title Two guests
        guest exporter
            memory 256M
            stick disk 64M on ehci
        guest importer
            section devmem
            doorbell none

        """

    private func parse(_ body: String) throws(ScenarioError) -> Scenario {
        try Scenario.parse(Self.head + body, name: "test", file: "test.scenario")
    }

    /// The statements of the only step.
    private func statements(_ body: String) throws -> [Statement] {
        guard case .step(_, _, let items)? = try parse("step S\n" + body).items.first else { return [] }
        return items.compactMap { if case .statement(let statement) = $0 { statement } else { nil } }
    }

    @Test func guestsAreDeclared() throws {
        let scenario = try parse("step Boot\n boot exporter")
        #expect(scenario.title == "Two guests")
        #expect(scenario.guests.map(\.name) == ["exporter", "importer"])
        #expect(scenario.guests.map(\.role) == [.exporter, .importer])
        #expect(scenario.guests[0].setup == GuestSetup(memory: 256 << 20, section: .uio, doorbell: nil))
        #expect(scenario.guests[0].devices == [EmulatedDevice(name: "disk", kind: .stick(64 << 20), bus: .ehci)])
        #expect(scenario.guests[1].setup == GuestSetup(memory: nil, section: .devmem, doorbell: .polling))
    }

    @Test func devicesOfEveryKindAreDeclared() throws {
        let items = """
            uas fast 8M on xhci
            keyboard keys on ehci
            sound box on xhci
            package alsa-utils /usr/bin/aplay /usr/bin/amixer
            step S
             press a shift_r on keys
             host$ sound box
              save bytes = json bytes
             unplug fast
            """
        let text = "title T\nguest exporter\n" + items
        let scenario = try Scenario.parse(text, name: "t", file: "t")
        #expect(scenario.guests[0].devices.map(\.kind) == [.uas(8 << 20), .keyboard, .sound])
        #expect(scenario.guests[0].packageFiles.map(\.path) == ["/usr/bin/aplay", "/usr/bin/amixer"])
        guard case .step(_, _, let statements) = scenario.items[0], case .statement(let first) = statements[0],
            case .press(_, let keys) = first.action
        else { return #expect(Bool(false)) }
        #expect(keys == ["a", "shift_r"] && statements.count == 3)
    }

    @Test func onlyUIORingsUnlessSaidOtherwise() {
        #expect(GuestSetup(section: .uio).effectiveDoorbell == .uio)
        #expect(GuestSetup(section: .pci).effectiveDoorbell == .polling)
        #expect(GuestSetup(section: .uio, doorbell: .polling).effectiveDoorbell == .polling)
    }

    @Test func aGuestOfAnyNameTakesARole() throws {
        let text =
            "title T\nguest small as importer\n ballast 8M\n modules usbmon\n image bare\n"
            + " built tests/x /opt/x\nstep S\n boot small"
        let guest = try Scenario.parse(text, name: "t", file: "t").guests[0]
        #expect(guest.builtFiles == [BuiltFile(name: "tests/x", path: "/opt/x")])
        #expect(guest.role == .importer && guest.ballast == 8 << 20 && guest.modules == ["usbmon"])
        #expect(guest.image == .bare && !guest.isOnDisk)
    }

    @Test func aScenarioMayWantAnArchitecture() throws {
        func parse(_ head: String) throws -> Scenario {
            try Scenario.parse("title T\n\(head)\nstep S\n boot exporter", name: "t", file: "t")
        }
        #expect(try parse("guest exporter").architecture == nil)
        #expect(try parse("arch aarch64\nguest exporter\n section node").architecture == .aarch64)
        #expect(throws: ScenarioError.self) { try parse("arch sparc\nguest exporter") }
        // Where the memory lies, and the tree, are QEMU's for one machine.
        #expect(throws: ScenarioError.self) { try parse("guest exporter\n section node") }
        let both = "guest exporter\n section one-way\nguest importer"
        #expect(try parse(both + "\n section one-way").guests.allSatisfy { $0.setup.section == .oneWay })
        #expect(throws: ScenarioError.self) { try parse(both) }
        #expect(throws: ScenarioError.self) { try parse("guest exporter\n section one-way") }
        #expect(try parse("guest exporter\n rings 256K").guests[0].setup.rings == .large)
        #expect(throws: ScenarioError.self) { try parse("guest exporter\n rings 64K") }
    }

    @Test func aRootMayLieOnADisk() throws {
        let text = "title T\nguest small as importer\n image bare on disk\nstep S\n boot small"
        let guest = try Scenario.parse(text, name: "t", file: "t").guests[0]
        #expect(guest.image == .bare && guest.isOnDisk)
    }

    @Test func outcomesBelongToTheCommandAboveThem() throws {
        let statement = try #require(
            try statements(
                """
                    exporter$ usbip list -l
                        exits 3
                        says "a \\"quoted\\" word"
                        never says no
                        within 20s
                        save all
                        save one = json counters.bytes-in
                """
            ).first)
        #expect(statement.line == 9)
        let outcome = statement.outcome
        #expect(outcome.status == .exactly(3) && outcome.limit == .seconds(20))
        #expect(outcome.says == [Template("a \"quoted\" word")] && outcome.neverSays == [Template("no")])
        #expect(
            outcome.captures == [
                Outcome.Capture(variable: "all", path: nil),
                Outcome.Capture(variable: "one", path: [Template("counters"), Template("bytes-in")]),
            ])
    }

    @Test func aScriptGoesOnBehindAnAngle() throws {
        let statement = try #require(try statements("exporter$ if true\n > then echo yes\n > fi\n says yes").first)
        guard case .command(_, let script) = statement.action else { return #expect(Bool(false)) }
        #expect(script.text == "if true\nthen echo yes\nfi")
        #expect(statement.outcome.says.count == 1)
    }

    @Test func blocksHoldStepsOrStatements() throws {
        let items = try parse(
            """
            step One
                boot exporter
                repeat 1 | full 5
                    kill exporter
                end
            for guest in exporter importer
                step Two of %{guest}
                    boot %{guest}
                step Three
                    kill %{guest}
            end
            """
        ).items
        #expect(items.count == 2)
        guard case .step(_, _, let first) = items[0], case .repeated(1, 5, let inner)? = first.last else {
            return #expect(Bool(false), "the block of statements belongs to its step")
        }
        #expect(inner.count == 1)
        guard case .each("guest", let values, let steps) = items[1], values.map(\.text) == ["exporter", "importer"]
        else {
            return #expect(Bool(false), "the block of steps stands beside the step")
        }
        #expect(steps.count == 2)
    }

    @Test func bootTakesChanges() throws {
        let statement = try #require(
            try statements("boot exporter, importer with memory=64M section=pci forced").first)
        guard case .boot(let guests, let changes, let forced, let waits) = statement.action else {
            return #expect(Bool(false))
        }
        #expect(guests.map(\.text) == ["exporter", "importer"] && forced && waits)
        #expect(changes.map(\.key) == [.memory, .section])
    }

    static let mistakes: [(String, Int, ScenarioError.Kind)] = [
        ("step S\n  jump", 9, .unknownStatement("jump")),
        ("boot exporter", 8, .misplaced("boot", belongs: "in a step")),
        ("step S\n boot exporter\nguest late as importer", 10, .misplaced("guest", belongs: "before the first step")),
        ("step", 8, .missing("a title", in: "step")),
        ("step S\n boot third", 9, .unknownName("third", kind: "guest")),
        ("step S\n third$ ls", 9, .unknownName("third", kind: "guest")),
        ("step S\n exporter$", 9, .missing("a command", in: "exporter$")),
        ("step S\n exporter$ echo %{nothing}", 9, .unknownName("nothing", kind: "variable")),
        ("step S\n expect %{nothing} = 1", 9, .unknownName("nothing", kind: "variable")),
        (
            "step S\n expect 1 == 1", 9,
            .missing("a value, one of = != < <= > >= contains lacks, and a value", in: "expect")
        ),
        ("step S\n host$ reboot", 9, .unknownName("reboot", kind: "host command")),
        ("step S\n host$ sha256 floppy", 9, .unknownName("floppy", kind: "disk")),
        ("step S\n host$ packaged-kernel floppy", 9, .unknownName("floppy", kind: "guest")),
        ("step S\n host$ kernel", 9, .missing("1 name(s)", in: "kernel")),
        ("step S\n host$ packaged exporter", 9, .missing("2 name(s)", in: "packaged")),
        ("step S\n says x", 9, .outcomeWithoutCommand("says")),
        ("step S\n kill exporter\n fails", 10, .outcomeWithoutCommand("fails")),
        ("step S\n exporter$ ls\n exits 300", 10, .badValue("300", wanted: "an exit status, 0 to 255")),
        ("step S\n exporter$ ls\n within soon", 10, .badValue("soon", wanted: "a time, such as 20s")),
        ("step S\n exporter$ ls\n save a b", 10, .badValue("save a b", wanted: "what may stand behind a command")),
        ("step S\n exporter$ ls\n says \"open", 10, .unfinished("\"")),
        ("step S\n kill exporter\n > more", 10, .misplaced(">", belongs: "behind a guest's command")),
        ("step S\n host$ hostile nobody 1 1", 9, .unknownName("nobody", kind: "guest")),
        ("step S\n host$ hostile exporter 0 1", 9, .badValue("0", wanted: "a number of mutations")),
        ("step S\n host$ hostile exporter 1 x", 9, .badValue("x", wanted: "a number of mutations")),
        ("step S\n wait for nobody", 9, .unknownName("nobody", kind: "job")),
        ("step S\n boot exporter with colour=red", 9, .unknownName("colour", kind: "setting")),
        ("step S\n boot exporter with memory=1", 9, .badValue("1", wanted: "a size in whole MiB")),
        (
            "step S\n boot exporter with section=sea", 9,
            .badValue("sea", wanted: "uio, pci, devmem, window, node, one-way, connection")
        ),
        ("step S\n start exporter", 9, .missing("\"agent on GUEST…\"", in: "start")),
        ("step S\n repeat 1 | full 2\n kill exporter", 9, .unfinished("repeat")),
        ("step S\n repeat 3 | full 2\n end", 9, .missing("two counts: repeat 1 | full 5", in: "repeat")),
        ("step S\n kill exporter\nend", 10, .misplaced("end", belongs: "behind a block")),
        ("for a in %{b}\n step S\n kill exporter\nend", 8, .unknownName("b", kind: "variable")),
        ("for a in b\n step S\n kill exporter", 8, .unfinished("for")),
        ("stick disk 64M on ehci\nstep S\n boot exporter", 8, .duplicate("disk")),
        ("stick other 64M on uhci\nstep S\n boot exporter", 8, .badValue("uhci", wanted: "ehci or xhci")),
        ("stick other 1000 on ehci\n", 8, .badValue("1000", wanted: "a size in whole sectors, such as 64M")),
        ("image large\n", 8, .badValue("large", wanted: "stock or bare, and \"on disk\" behind it or not")),
        ("image stock on\n", 8, .badValue("stock on", wanted: "stock or bare, and \"on disk\" behind it or not")),
        ("uas other 64M on usb3\n", 8, .badValue("usb3", wanted: "ehci or xhci")),
        ("sound box on ehci\n", 8, .badValue("ehci", wanted: "xhci")),
        ("keyboard keys\n", 8, .missing("a name, \"on\" and a bus", in: "keyboard")),
        ("keyboard keys on ehci\nkeyboard more on ehci\n", 9, .duplicate("keyboard")),
        ("package alsa-utils\n", 8, .missing("a Debian package and absolute paths in it", in: "package")),
        ("step S\n host$ sound disk", 9, .unknownName("disk", kind: "sound device")),
        ("step S\n plug nothing", 9, .unknownName("nothing", kind: "device")),
        ("step S\n press a on disk", 9, .unknownName("disk", kind: "keyboard")),
        ("step S\n press a b", 9, .missing("keys, \"on\" and a keyboard: press a b on keys", in: "press")),
        ("step S\n press a b c d e f g h i on keys", 9, .badValue("9 keys", wanted: "at most 8 keys")),
        ("step S\n exporter$ ls\n save a = json p.b=%{c}.d", 10, .unknownName("c", kind: "variable")),
        ("uas fast 1M on xhci\nstep S\n plug fast", 10, .badValue("fast", wanted: "a device that can be plugged in")),
        ("memory lots\n", 8, .badValue("lots", wanted: "a size in whole MiB")),
        ("guest exporter\n", 8, .duplicate("exporter")),
        ("guest third\n", 8, .badValue("third", wanted: "exporter or importer")),
        ("title Again\n", 8, .duplicate("title")),
        ("", 7, .missing("at least one", in: "step")),
    ]

    @Test(arguments: mistakes)
    func mistakesAreNamedWithTheirLine(_ body: String, _ line: Int, _ kind: ScenarioError.Kind) {
        #expect(throws: ScenarioError(file: "test.scenario", line: line, kind: kind)) { try parse(body) }
    }

    @Test func aFileWithoutATitleIsRefused() {
        #expect(throws: ScenarioError(file: "f", line: 1, kind: .missing("one line of text", in: "title"))) {
            try Scenario.parse("guest exporter", name: "t", file: "f")
        }
    }

    @Test func messagesSayFileLineAndReason() {
        let error = ScenarioError(file: "a.scenario", line: 7, kind: .unknownName("x", kind: "guest"))
        #expect("\(error)" == "a.scenario:7: there is no guest \"x\"")
    }

    @Test func variablesAreReplaced() {
        #expect(Template("%{a} and ${a} and %{b}%{a}").expanded(["a": "1", "b": "2"]) == "1 and ${a} and 21")
    }

    @Test(arguments: [
        ("1.5", Comparison.less, "2", true), ("10", .greater, "9", true), ("ab", .contains, "b", true),
        ("ab", .lacks, "b", false), ("7", .equal, "7.0", false), ("7", .greaterOrEqual, "7.0", true),
    ])
    func comparisons(_ left: String, _ comparison: Comparison, _ right: String, _ result: Bool) {
        #expect(comparison.holds(left, right) == result)
    }

    @Test func numbersAreWantedForAnOrder() { #expect(Comparison.less.holds("a", "1") == nil) }

    @Test func valuesOfJSONAreFoundByPath() {
        let data = Data(#"{"a":{"b-c":[1,{"d":"x"}]},"t":18446744073709551615}"#.utf8)
        #expect(JSONPath.value(at: ["a", "b-c", "1", "d"], in: data) == "x")
        #expect(JSONPath.value(at: ["t"], in: data) == "18446744073709551615")
        #expect(JSONPath.value(at: ["a", "b-c", "2"], in: data) == nil)
        #expect(JSONPath.value(at: ["a"], in: data) == nil)
        let list = Data(#"{"p":[{"n":1,"v":"x"},{"n":2,"v":"y"},{"b":"1-1","v":"z"}]}"#.utf8)
        #expect(JSONPath.value(at: ["p", "n=2", "v"], in: list) == "y")
        #expect(JSONPath.value(at: ["p", "b=1-1", "v"], in: list) == "z")
        #expect(JSONPath.value(at: ["p", "n=3", "v"], in: list) == nil)
    }

    /// Every scenario of the project can be read.
    @Test func theProjectsScenariosAreValid() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let names = try ScenarioCatalogue.names(root: root)
        #expect(names.contains("usb-disk"))
        for name in names { _ = try ScenarioCatalogue.load(name, root: root) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport
import Testing
import USBIP

@testable import GuestAgent

/// The device manager as a part of agents that run, on a machine without any USB device; and, where a mount namespace
/// can be had, with a sysfs of plain files.
@Suite(.serialized) struct DeviceManagerTests {
    private static let settings = Setting.all.filter { !$0.doorbells }

    private static func socket(_ guests: Guests, _ side: Guests.Side) -> String {
        guests.runtime(side) + "/devices.sock"
    }

    /// Bytes on `devices.sock`; everything that is answered.
    private static func say(_ guests: Guests, _ side: Guests.Side, _ bytes: [UInt8]) throws -> String {
        let stream = try Stream(connectedTo: socket(guests, side))
        try? stream.write(bytes)
        stream.finishWriting()
        return String(decoding: (try? stream.readToEnd()) ?? [], as: UTF8.self)
    }

    private static func ask(_ guests: Guests, _ side: Guests.Side, _ line: String) throws -> String {
        try say(guests, side, Array((line + "\n").utf8))
    }

    private static func portIsOpen(_ guests: Guests, _ side: Guests.Side, _ port: Int) throws -> Bool {
        // One more turn of the loop: what an answered request changed has been done.
        _ = try ask(guests, side, "rules")
        return access("\(guests.runtime(side))/port/\(port).4", F_OK) == 0
    }

    /// One request to the exporter b, and all that it answers; the connection is over then, for both.
    private static func request(_ guests: Guests, _ bytes: [UInt8]) throws -> [UInt8] {
        let stream = try guests.connected(.a, port: ImportDialogue.port)
        try stream.write(bytes)
        return try stream.readToEnd()
    }

    /// The same through what commands use. A channel that was just left is free a little later.
    private static func untilFree<Value>(_ body: () throws(Diagnostic) -> Value) throws -> Value {
        let deadline = Deadline(seconds: Guests.patience)
        while true {
            do throws(Diagnostic) { return try body() } catch {
                guard error.message.contains("every channel"), !deadline.isPast else { throw error }
            }
        }
    }

    /// - Parameter sysfs: in place of the machine's own; an empty one if the machine can do that.
    private static func start(_ guests: Guests, _ side: Guests.Side, _ sysfs: FakeSysfs? = nil) throws {
        let sysfs = try sysfs ?? FakeSysfs()
        try guests.startAndWait(side, through: HeldFile.canBeMade ? sysfs.mounted : [])
        withExtendedLifetime(sysfs) {}
    }

    private static func kill(_ guests: Guests, _ side: Guests.Side) throws {
        let agent = try guests.agent(side)
        agent.kill(SIGKILL)
        _ = agent.finish()
    }

    @Test(arguments: settings)
    func requests(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startAndWait(.a)
        #expect(try Self.ask(guests, .a, "rules") == "0\n")
        let good: [(String, String)] = [
            ("match 46F4:0001", "0\n46f4:0001: no such device yet; it is exported when it is plugged in\n"),
            ("  match   serial:x  ", "0\nserial:x: no such device yet; it is exported when it is plugged in\n"),
            ("rules", "0\nexport 46f4:0001\nexport serial:x\n"), ("unexport serial:x", "0\n"),
            ("unexport 46f4:0001", "0\n"), ("rules", "0\n"),
        ]
        for (line, answer) in good { #expect(try Self.ask(guests, .a, line) == answer) }
        for line in ["export 9-9", "export 46f4:0001", "unexport 9-9", "unexport serial:x", "forget 1-1"] {
            #expect(try Self.ask(guests, .a, line).hasPrefix("66\n"), "\(line)")
        }
        for line in [
            "", " ", "export", "export usb1", "export 1-1 1-2", "exports 1-1", "rules now", "EXPORT 1-1",
            "attach serial:x",
            "attach 46f4:0001:x", "\0", "1-1", "export\t1-1", "rules\nrules", "é ü",
            String(repeating: "x", count: 510),
        ] {
            #expect(try Self.ask(guests, .a, line).hasPrefix("64\n"), "\(line)")
        }
        // No line: no answer.
        for bytes in [
            [], Array("rules".utf8), Array(repeating: UInt8(ascii: "x"), count: 512),
            randomBytes(4096, seed: 1).map { $0 == 10 ? 0 : $0 },
        ] {
            #expect(try Self.say(guests, .a, bytes) == "")
        }
        // A line in pieces is a line.
        let slow = try Stream(connectedTo: Self.socket(guests, .a))
        for byte in Array("rules\n".utf8) {
            try slow.write([byte])
            #expect(try Self.ask(guests, .a, "forget 1-1").hasPrefix("66\n"))
        }
        #expect(try slow.readToEnd() == Array("0\n".utf8))
    }

    /// Who says nothing keeps nobody else out.
    @Test(arguments: settings)
    func silentClients(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startAndWait(.a)
        let crowd = try (0..<40).map { _ in try Stream(connectedTo: Self.socket(guests, .a)) }
        #expect(try Self.ask(guests, .a, "rules") == "0\n")
        // 32 have room; the oldest of the 41 are gone.
        for number in 0..<9 { #expect(crowd[number].isClosed(seconds: Guests.patience), "client \(number)") }
        try crowd[39].write(Array("rules\n".utf8))
        #expect(try crowd[39].readToEnd() == Array("0\n".utf8))
    }

    @Test(arguments: settings)
    func rulesSurviveARestart(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try Self.start(guests, .a)
        for line in ["match 1-1", "attach 46f4:0001", "attach 2-1"] {
            #expect(try Self.ask(guests, .a, line).hasPrefix("0\n"))
        }
        #expect(try Self.ask(guests, .a, "forget 2-1") == "0\n")
        try Self.kill(guests, .a)
        try Self.start(guests, .a)
        #expect(try Self.ask(guests, .a, "rules") == "0\nexport 1-1\nattach 46f4:0001\n")
        #expect(try Self.portIsOpen(guests, .a, 3240))
        // However it is written.
        #expect(try Self.ask(guests, .a, "forget 46F4:0001") == "0\n")
        try Self.kill(guests, .a)
        try Self.start(guests, .a)
        #expect(try Self.ask(guests, .a, "rules") == "0\nexport 1-1\n")
    }

    /// What keeps the rules from being kept is said, and they stand all the same.
    @Test(arguments: settings)
    func rulesThatCannotBeKept(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try FileManager.default.createDirectory(
            atPath: guests.runtime(.a) + "/rules", withIntermediateDirectories: true)
        try guests.startAndWait(.a)
        #expect(try Self.ask(guests, .a, "match 1-1").hasPrefix("0\n"))
        #expect(try guests.agent(.a).prints("a restart will not know them"))
        #expect(try Self.ask(guests, .a, "rules") == "0\nexport 1-1\n")
    }

    /// The peer reaches the exporter while there are rules, and what it asks is answered.
    @Test(arguments: settings)
    func portsAreOpenWhileThereAreRules(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        for port in [3240, 3241] {
            #expect(try !Self.portIsOpen(guests, .b, port))
            #expect(try guests.connect(.a, port: UInt16(port)).result == ECONNREFUSED)
        }
        #expect(try Self.ask(guests, .b, "match 1-1").hasPrefix("0\n"))
        for port in [3240, 3241] { #expect(try Self.portIsOpen(guests, .b, port)) }
        #expect(try Self.request(guests, Operation.requestDeviceList()) == Operation.replyDeviceList([]))
        #expect(
            try Self.request(guests, Operation.requestImport(BusID("1-1")!))
                == Operation.replyImport(OperationStatus.noDevice))
        #expect(try guests.agent(.b).prints("device 1-1 was asked for and refused"))
        // What is no request does not get there, and is logged.
        let nothing = (try? Self.request(guests, Array("GET / HTTP/1.0\r\n\r\n".utf8))) ?? []
        #expect(nothing == [])
        #expect(try guests.agent(.a).prints("closed by the guard"))
        // A list through the commands.
        let agent = AgentClient(runtimeDirectory: guests.runtime(.a))
        #expect(try Self.untilFree { () throws(Diagnostic) in try ImportDialogue.deviceList(agent) }.isEmpty)
        #expect(try Self.ask(guests, .b, "unexport 1-1") == "0\n")
        for port in [3240, 3241] {
            #expect(try !Self.portIsOpen(guests, .b, port))
            #expect(try guests.connect(.a, port: UInt16(port)).result == ECONNREFUSED)
        }
    }

    /// An importer that listens hears of a change by one byte, and one that goes away is forgotten.
    @Test(arguments: settings)
    func announcements(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        #expect(try Self.ask(guests, .b, "match 1-1").hasPrefix("0\n"))
        let listener = try guests.connected(.a, port: 3241)
        var other: Stream? = try guests.connected(.a, port: 3241)
        for line in ["match 1-2", "export 9-9"] {
            _ = try Self.ask(guests, .b, line)
            #expect(try listener.read(1) == [0x2E], "\(line)")
            #expect(try other?.read(1) ?? [0x2E] == [0x2E])
            other = nil
        }
        // Nothing may be said on it.
        try listener.write([1])
        #expect(listener.isClosed(seconds: Guests.patience))
        let next = try guests.connected(.a, port: 3241)
        _ = try Self.ask(guests, .b, "match 1-3")
        #expect(try next.read(1) == [0x2E])
    }

    /// A program that has the port keeps it, and gets what comes to it; when it goes, the manager takes its place.
    @Test(arguments: settings)
    func aPortThatAnotherHas(_ setting: Setting) throws {
        let guests = try Guests(setting)
        var other: Listener? = try guests.listen(.b, port: 3240)
        try guests.startBoth()
        #expect(try Self.ask(guests, .b, "match 1-1").hasPrefix("0\n"))
        #expect(try guests.agent(.b).prints("serving port 3240 to the peer: "))
        #expect(try Self.ask(guests, .b, "rules") == "0\nexport 1-1\n")
        let client = try guests.connected(.a, port: 3240)
        try client.write(Operation.requestDeviceList())
        // To find out that the port is taken, the manager connects to it, too.
        while true {
            let stream = try #require(try other?.accept())
            guard try stream.readSome() == Operation.requestDeviceList() else { continue }
            try stream.write(Operation.replyDeviceList([]))
            #expect(try client.read(12) == Operation.replyDeviceList([]))
            break
        }
        other = nil
        // Nothing but time tells the manager.
        let place = "\(guests.runtime(.b))/port/3241.4"
        let deadline = Deadline(seconds: Guests.patience)
        while access(place, F_OK) != 0, !deadline.isPast { sched_yield() }
        #expect(access(place, F_OK) == 0)
        #expect(try Self.request(guests, Operation.requestDeviceList()) == Operation.replyDeviceList([]))
    }

    /// Each request is answered by a process of its own, and all share one budget of log lines.
    @Test(arguments: settings)
    func aPeerThatAsksForWhatIsNotThere(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        _ = try Self.ask(guests, .b, "match 1-1")
        let clock = ContinuousClock()
        let began = clock.now
        let busID = try #require(BusID("9-9"))
        for _ in 0..<300 { _ = try Self.request(guests, Operation.requestImport(busID)) }
        let seconds = (clock.now - began) / .seconds(1)
        let agent = try guests.agent(.b)
        #expect(agent.prints("was asked for and refused"))
        // And what else has come meanwhile.
        _ = agent.prints("nothing like this", seconds: 0)
        let lines = agent.text.components(separatedBy: "was asked for and refused").count - 1
        let limit = Double(LogBudget.burst) + seconds * 1_000_000 / Double(LogBudget.microsecondsPerLine) + 1
        #expect(lines > 0 && Double(lines) <= limit, "\(lines) lines in \(seconds) s")
    }

    /// After 100 connections of every kind the parent has as many descriptors, and children, as before.
    @Test(arguments: settings)
    func nothingIsLeftBehind(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        _ = try Self.ask(guests, .b, "match 1-1")
        let parent = try guests.agent(.b)
        func descriptors() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/\(parent.pid)/fd").count
        }
        // The data path alone is left of the children; the descriptor of the program that was answered last may be
        // just closing, so a count is the least of some.
        func least() throws -> Int {
            let deadline = Deadline(seconds: Guests.patience)
            var counts: [Int] = []
            while counts.count < 10 {
                _ = try Self.ask(guests, .b, "rules")
                if parent.children.count == 1 { counts.append(try descriptors()) }
                try #require(!deadline.isPast)
            }
            return counts.min() ?? 0
        }
        let before = try least()
        for round in 0..<20 {
            #expect(try Self.request(guests, Operation.requestDeviceList()).count == 12)
            #expect(try Self.request(guests, Operation.requestImport(BusID("1-1")!)).count == 8)
            let request = Operation.requestImport(BusID("1-1")!)[..<round]
            do {
                let gone = try guests.connected(.a, port: 3240)
                try gone.write(Array(request))
                gone.finishWriting()
                #expect(gone.isClosed(seconds: Guests.patience))
            }
            _ = try guests.connected(.a, port: 3241)
            _ = try Self.say(guests, .b, Array("match 1-1".utf8.prefix(round)))
        }
        let deadline = Deadline(seconds: Guests.patience)
        var after = try least()
        while after != before, !deadline.isPast { after = try least() }
        #expect(after == before)
    }

    // MARK: With devices, of plain files

    /// An exporter's whole life: a rule, a list, a device that is handed over, used, and free again.
    @Test(.enabled(if: HeldFile.canBeMade), arguments: settings)
    func aDeviceIsExportedUsedAndLetGo(_ setting: Setting) throws {
        let sysfs = try FakeSysfs()
        let place = "devices/pci0000:00/usb1/1-1"
        try sysfs.device("1-1")
        try sysfs.device("1-2", ["bDeviceClass": "09\n"])
        try sysfs.device("1-3", ["idVendor": "ffff\n"])
        let guests = try Guests(setting)
        try Self.start(guests, .b, sysfs)
        try guests.startAndWait(.a)
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        #expect(try Self.ask(guests, .b, "match ffff:0001").hasPrefix("0\n1-3: exported: "))
        let announcements = try guests.connected(.a, port: 3241)
        #expect(try Self.ask(guests, .b, "export 1-2").hasPrefix("69\n"))
        let title = "1-1: exported: QEMU : QEMU USB HARDDRIVE (46f4:0001)\n"
        #expect(try Self.ask(guests, .b, "export 1-1") == "0\n" + title)
        // An importer that waits for it need not ask all the time.
        #expect(try announcements.read(2) == [0x2E, 0x2E])
        #expect(sysfs.text("\(FakeSysfs.exporter)/bind") == "1-1")
        #expect(try guests.agent(.b).prints("device 1-1 is exported"))
        // As the kernel would.
        try sysfs.export("1-1")
        let listed = try #require(LocalDevice.read(BusID("1-1")!, sysfs.tree)).listed
        let agent = AgentClient(runtimeDirectory: guests.runtime(.a))
        let list = try Self.untilFree { () throws(Diagnostic) in try ImportDialogue.deviceList(agent) }
        #expect(list.map(\.record.busID.text) == ["1-1"] && list.map(\.interfaces) == [listed.interfaces])
        let connection = try Self.untilFree { () throws(Diagnostic) in
            try agent.connect(port: ImportDialogue.port)
        }
        let stream = Stream(connection.socket)
        let record = try ImportDialogue.request(BusID("1-1")!, connection.socket)
        #expect(record.devid == 0x10002 && record.path == "/sys/\(place)")
        #expect(try guests.agent(.b).prints("device 1-1 is used by the peer"))
        #expect(sysfs.text("\(place)/usbip_sockfd")?.hasSuffix("\n") == true)
        // The importer's agent is gone, and with it the connection, for the kernel here, too.
        let mark = try guests.agent(.b).text.count
        try Self.kill(guests, .a)
        try guests.startAndWait(.a)
        #expect(stream.isClosed(seconds: Guests.patience))
        #expect(try guests.agent(.b).prints("device 1-1 is free again", after: mark))
        for side in Guests.Side.allCases { try guests.waitForLink(side, after: side == .a ? 0 : mark) }
        // A kernel that does not take the socket.
        try sysfs.spoil("\(place)/usbip_sockfd")
        #expect(
            try Self.request(guests, Operation.requestImport(BusID("1-1")!))
                == Operation.replyImport(OperationStatus.notAvailable))
        #expect(try Self.ask(guests, .b, "unexport 1-1") == "0\n1-1: no longer exported\n")
        #expect(sysfs.text("\(FakeSysfs.exporter)/match_busid") == "del 1-1")
        #expect(try Self.ask(guests, .b, "rules") == "0\nexport ffff:0001\n")
    }

    /// A device in use is taken back by closing its stream.
    @Test(.enabled(if: HeldFile.canBeMade), arguments: settings)
    func unexportEndsAConnection(_ setting: Setting) throws {
        let sysfs = try FakeSysfs()
        try sysfs.device("1-1")
        try sysfs.export("1-1")
        let guests = try Guests(setting)
        try Self.start(guests, .b, sysfs)
        try guests.startAndWait(.a)
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        #expect(try Self.ask(guests, .b, "match 1-1").hasPrefix("0\n"))
        let agent = AgentClient(runtimeDirectory: guests.runtime(.a))
        let connection = try agent.connect(port: ImportDialogue.port)
        let stream = Stream(connection.socket)
        _ = try ImportDialogue.request(BusID("1-1")!, connection.socket)
        #expect(try guests.agent(.b).prints("device 1-1 is used by the peer"))
        #expect(try Self.ask(guests, .b, "unexport 1-1") == "0\n1-1: no longer exported\n")
        #expect(stream.isClosed(seconds: Guests.patience))
    }

    /// A rule of the importer, a device of the exporter: the agents do the rest.
    @Test(.enabled(if: HeldFile.canBeMade), arguments: settings)
    func aRuleAttachesWhatThePeerOffers(_ setting: Setting) throws {
        let there = try FakeSysfs()
        try there.device("1-1", ["speed": "5000\n"])
        try there.export("1-1")
        let here = try FakeSysfs()
        try here.importer(StatusLine.port(0, 4) + StatusLine.port(8, 4, super: true))
        let guests = try Guests(setting)
        try Self.start(guests, .a, here)
        try Self.start(guests, .b, there)
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        #expect(try Self.ask(guests, .a, "attach 46F4:0001") == "0\n")
        #expect(try Self.ask(guests, .b, "match 1-1").hasPrefix("0\n"))
        #expect(try guests.agent(.a).prints("attached 1-1 (46f4:0001) as port 8"))
        let line = try #require(here.text("\(FakeSysfs.importer)/attach")).split(separator: " ")
        #expect(line.count == 4 && line[0] == "8" && line[2] == "65538" && line[3] == "5")
        let text = try String(contentsOfFile: guests.runtime(.a) + "/vhci/8", encoding: .utf8)
        #expect(text.hasPrefix("1-1 46f4:0001 65538 ") && text.hasSuffix(" 46f4:0001\n"))
    }
}

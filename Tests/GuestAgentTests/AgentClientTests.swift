// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport
import Testing
import USBIP

@testable import GuestAgent

/// What commands ask of an agent, against agents that answer whatever a test wants.
@Suite struct AgentClientTests {
    /// Runs `body` beside an agent that takes one connection at `name` after the other, reads `request` bytes of each
    /// (or a line), sends an answer, and ends the connection, or falls silent. Then the client must be gone, too.
    private static func against(
        _ answers: [[UInt8]], at name: String = "agent.sock", request: Int? = ControlProtocol.size,
        silent: Bool = false, _ body: @escaping @Sendable (AgentClient) throws -> Void
    ) throws {
        let folder = try ScratchFolder()
        let listener = try Listener("\(folder.path)/\(name)", backlog: 16)
        let client = AgentClient(runtimeDirectory: folder.path)
        try sideBySide(
            {
                for answer in answers {
                    let stream = try listener.accept()
                    if let request {
                        _ = try stream.read(request)
                    } else {
                        while try stream.read(1) != [10] {}
                    }
                    // A client whose patience is short may be gone already.
                    if silent { try? stream.write(answer) } else { try stream.write(answer) }
                    if !silent { stream.finishWriting() }
                    // Whatever came of it, the client keeps no socket.
                    #expect(stream.isClosed(seconds: Stream.patience))
                }
            },
            { try body(client) })
    }

    @Test func connects() throws {
        let tail: [UInt8] = [1, 2, 3]
        try Self.against([ControlProtocol.reply(0, channel: 3) + tail], silent: true) { client in
            let connection = try client.connect(port: 3240)
            #expect(connection.channel == 3)
            // What comes behind the reply is the service's.
            #expect(try Stream(connection.socket).read(tail.count) == tail)
        }
    }

    @Test(arguments: [
        (ECONNREFUSED, "nothing listens there"), (EHOSTUNREACH, "the link is not up"),
        (EADDRNOTAVAIL, "every channel"), (ETIMEDOUT, "did not answer in time"), (EINVAL, "look at the agent's log"),
        (Int32.max, "look at the agent's log"),
    ])
    func connectRefused(_ error: Int32, _ words: String) throws {
        try Self.against([ControlProtocol.reply(error)]) { client in
            let error = diagnostic { try client.connect(port: 3240) }
            #expect(
                error?.exitCode == .unavailable && error?.message.contains(words) == true, "\(error?.message ?? "")")
        }
    }

    @Test func connectCutOrGarbage() throws {
        let good = ControlProtocol.reply(0, channel: 3)
        var bad = (0..<good.count).map { Array(good[..<$0]) }
        for offset in 0..<8 {
            var bytes = good
            bytes[offset] ^= 0xFF
            bad.append(bytes)
        }
        let count = bad.count
        try Self.against(bad) { client in
            for i in 0..<count {
                #expect(diagnostic { try client.connect(port: 3240) }?.exitCode == .unavailable, "answer \(i)")
            }
        }
    }

    @Test func silentAgents() throws {
        let part = Array(ControlProtocol.reply(0)[..<15])
        try Self.against([[], part], silent: true) { client in
            for _ in 0..<2 {
                let error = diagnostic { try client.connect(port: 3240, milliseconds: 1) }
                #expect(error?.message.contains("did not answer in time") == true)
            }
        }
        try Self.against([[], part, ControlProtocol.reply(0, following: 3) + [1, 2]], silent: true) { client in
            for _ in 0..<3 {
                let error = diagnostic { try client.askAgent(.progress, port: 1, milliseconds: 1) }
                #expect(error?.exitCode == .unavailable && error?.message.contains("no answer in time") == true)
            }
        }
        try Self.against([[], Array("0\nhalf".utf8)], at: "devices.sock", request: nil, silent: true) { client in
            for _ in 0..<2 {
                let error = diagnostic { try client.ask("rules", milliseconds: 1) }
                #expect(error?.exitCode == .unavailable && error?.message.contains("no answer in time") == true)
            }
        }
    }

    @Test func asksTheDataPath() throws {
        let text = Array("7 3".utf8)
        let good = ControlProtocol.reply(0, following: text.count) + text
        let bad =
            (0..<good.count).map { Array(good[..<$0]) }
            + [good + [0x30], ControlProtocol.reply(EINVAL), ControlProtocol.reply(0, following: 0xFFFF_FFFF) + text]
        let count = bad.count
        try Self.against([good, good, ControlProtocol.reply(0)] + bad) { client in
            let status = try client.askAgent(.status)
            #expect(status == text)
            #expect(client.progress(channel: 1) == ChannelProgress(requests: 7, unansweredSeconds: 3))
            // A channel without an imported device.
            #expect(client.progress(channel: 1) == nil)
            for i in 0..<count {
                #expect(diagnostic { try client.askAgent(.status) }?.exitCode == .badProtocol, "answer \(i)")
            }
            // No channel has such a number, so nobody is asked.
            #expect(client.progress(channel: 256) == nil && client.progress(channel: .max) == nil)
        }
    }

    @Test func asksTheDeviceManager() throws {
        let good: [(String, ExitCode, String)] = [
            ("0\n", .success, ""), ("0\none\ntwo\n", .success, "one\ntwo\n"), ("66\nno\n", .noSuch, "no\n"),
            ("64\n", .usage, ""),
        ]
        let bad = ["", "\n", "0", "x\n", "1\n", "-1\n", "256\n", " 0\n", "\n0\n", "\0\n", "18446744073709551616\n"]
        let answers = (good.map(\.0) + bad).map { Array($0.utf8) }
        try Self.against(answers, at: "devices.sock", request: nil) { client in
            for (_, code, text) in good {
                let answer = try client.ask("rules")
                #expect(answer.code == code && answer.text == text)
            }
            for text in bad {
                #expect(diagnostic { try client.ask("rules") }?.exitCode == .unavailable, "\(text)")
            }
        }
    }

    @Test func withoutAnAgent() throws {
        let folder = try ScratchFolder()
        let client = AgentClient(runtimeDirectory: folder.path)
        for _ in 0..<2 {
            for error in [
                diagnostic { try client.connect(port: 1) }, diagnostic { try client.askAgent(.status) },
                diagnostic { try client.ask("rules") },
            ] {
                #expect(error?.exitCode == .unavailable && error?.message.contains("no agent is running") == true)
            }
            // A socket that an agent has left behind.
            _ = try ["agent.sock", "devices.sock"].map { try folder.add($0, "") }
        }
    }

    // MARK: The peer's list

    @Test func listsThePeersDevices() throws {
        let interface = InterfaceRecord(interfaceClass: 8, interfaceSubClass: 6, interfaceProtocol: 0x50)
        var one = record("1-1", 0x46F4, 1)
        one.interfaces = 1
        let devices = [
            ListedDevice(record: one, interfaces: [interface]),
            ListedDevice(record: record("1-2.3", 1, 2), interfaces: []),
        ]
        let list = Operation.replyDeviceList(devices)
        let cuts = (0..<list.count).map { Array(list[..<$0]) }
        let garbage = [
            Operation.replyImport(one), Operation.replyDeviceList(OperationStatus.error), [0, 0, 0, 0, 0, 0, 0, 0],
        ]
        let start = ControlProtocol.reply(0, channel: 1)
        let answers = ([list] + cuts + garbage).map { start + $0 }
        try Self.against(answers) { client in
            let found = try ImportDialogue.deviceList(client)
            #expect(found == devices)
            for i in cuts.indices {
                let error = diagnostic { try ImportDialogue.deviceList(client) }
                #expect(error?.exitCode == .unavailable && error?.message.contains("was closed") == true, "\(i)")
            }
            for _ in garbage { #expect(diagnostic { try ImportDialogue.deviceList(client) }?.exitCode == .badProtocol) }
        }
        try Self.against([start, start + list.dropLast()], silent: true) { client in
            for _ in 0..<2 {
                let error = diagnostic { try ImportDialogue.deviceList(client, milliseconds: 1) }
                #expect(error?.exitCode == .unavailable && error?.message.contains("no answer in time") == true)
            }
        }
    }

    @Test func remoteListText() throws {
        var one = record("1-1", 0x46F4, 1)
        one.interfaces = 1
        one.path = "/sys/\u{1B}[2J"
        let interface = InterfaceRecord(interfaceClass: 8, interfaceSubClass: 6, interfaceProtocol: 0x50)
        let start = ControlProtocol.reply(0, channel: 1)
        let full = start + Operation.replyDeviceList([ListedDevice(record: one, interfaces: [interface])])
        try Self.against([full, full, start + Operation.replyDeviceList([])]) { client in
            func text(_ more: String...) throws -> String {
                try ListCommand.parse(["-r", "--runtime-dir", client.runtimeDirectory] + more).text()
            }
            #expect(
                try text() == """
                    Exportable USB devices
                    ======================
                     - the peer
                            1-1: high speed (46f4:0001)
                               : /sys/?[2J
                               : defined at interface level (00/00/00)
                               :  0 - Mass Storage (08/06/50)


                    """)
            let object = try JSONSerialization.jsonObject(with: Data(text("--json").utf8)) as? [String: Any]
            let devices = object?["devices"] as? [[String: Any]]
            #expect(devices?.first?["busid"] as? String == "1-1")
            #expect((devices?.first?["interfaces"] as? [[String: Any]])?.first?["class"] as? Int == 8)
            #expect(try text() == "the peer offers no device\n")
        }
    }
}

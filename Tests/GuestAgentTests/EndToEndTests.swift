// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import TestSupport
import Testing

@testable import GuestAgent

/// Two real agents, connected through a file, and programs of both guests that talk through them.
@Suite(.serialized) struct EndToEndTests {
    private static let megabytes = TestRun.isLong ? 64 : 4

    /// Sends bytes, has them sent back by the other end, and compares.
    private static func echo(_ client: Stream, _ service: Stream, seed: UInt64) throws {
        let sent = randomBytes(megabytes << 20, seed: seed)
        try sideBySide(
            {
                try client.write(sent)
                client.finishWriting()
            },
            { [sent] in
                let back = try client.readToEnd()
                #expect(back.count == sent.count)
                expectSame(back, sent, "seed \(seed)")
            },
            {
                while true {
                    let part = try service.readSome()
                    if part.isEmpty { break }
                    try service.write(part)
                }
                service.finishWriting()
            })
    }

    @Test(arguments: Setting.all)
    func bothDirectionsAtOnce(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let fromA = try guests.pair(from: .a, port: 7001)
        let fromB = try guests.pair(from: .b, port: 7001)
        let busy = try guests.status(.a)
        #expect((busy["channels"] as? [[String: Any]])?.map { $0["state"] as? String } == ["connected", "connected"])
        let seed = TestRun.seed
        try sideBySide(
            { try Self.echo(fromA.client, fromA.service, seed: seed) },
            { try Self.echo(fromB.client, fromB.service, seed: seed &+ 1) })
        for side in Guests.Side.allCases {
            // Both ends have said their last; the channels close without the programs' doing.
            let idle = try guests.status(side) { ($0["channels"] as? [Any])?.isEmpty == true }
            #expect((idle["channels"] as? [Any])?.isEmpty == true, "\(idle)")
            let counters = try #require(idle["counters"] as? [String: Int])
            let each = Self.megabytes << 20
            #expect(counters["bytes-in"] == 2 * each)
            #expect(counters["bytes-out"] == 2 * each)
            #expect(counters["connections-opened"] == 1)
            #expect(counters["connections-accepted"] == 1)
            #expect(counters["connections-reset"] == 0)
            #expect(counters["peer-faults"] == 0)
            #expect(counters["times-up"] == 1)
            #expect(idle["link"] as? String == "up")
            #expect((counters["doorbells-heard"] ?? 0 > 0) == setting.doorbells)
        }
    }

    private func counter(_ name: String, _ status: [String: Any]) -> Int {
        (status["counters"] as? [String: Int])?[name] ?? -1
    }

    /// Doorbells with nothing behind them are counted as such, and those with bytes behind them are not.
    @Test(arguments: Setting.withDoorbells)
    func doorbellsWithoutBytes(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let before = try guests.status(.a)
        for _ in 0..<5 { #expect(eventfd_write(guests.bells[Guests.Side.a.rawValue], 1) == 0) }
        let heard = counter("doorbells-heard", before) + 5
        let after = try guests.status(.a) { counter("doorbells-heard", $0) >= heard }
        #expect(counter("doorbells-heard", after) == heard)
        #expect(counter("doorbells-spurious", after) == counter("doorbells-spurious", before) + 5)
        // Bytes back and forth, until one doorbell was heard that had bytes behind it.
        let (client, service) = try guests.pair(from: .a, port: 7)
        func useful(_ status: [String: Any]) -> Int {
            counter("doorbells-heard", status) - counter("doorbells-spurious", status)
        }
        let end = try guests.status(.a) { status in
            if useful(status) > useful(after) { return true }
            #expect(throws: Never.self) {
                try client.write([1])
                #expect(try service.read(1) == [1])
                try service.write([2])
                #expect(try client.read(1) == [2])
            }
            return false
        }
        #expect(useful(end) > useful(after))
    }

    /// A peer that rings without end wakes the agent a bounded number of times, and an honest connection goes on.
    @Test(arguments: Setting.withDoorbells)
    func aStormOfDoorbells(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let storm = Storm(guests.bells[Guests.Side.a.rawValue])
        defer { storm.end() }
        let paused = try guests.status(.a) { counter("doorbell-pauses", $0) >= 3 }
        #expect(counter("doorbell-pauses", paused) >= 3)
        // Idle but for that: from before one report to behind another.
        let began = Clock.microseconds()
        let before = try guests.status(.a)
        let after = try guests.status(.a) { counter("doorbell-pauses", $0) >= counter("doorbell-pauses", before) + 20 }
        let periods = Int((Clock.microseconds() - began) / DoorbellPacing.period) + 1
        let wakeUps = counter("wake-ups", after) - counter("wake-ups", before)
        // A few more for heartbeats and for the reports themselves.
        #expect(wakeUps <= periods * (DoorbellPacing.limit + 2) + 1000, "\(wakeUps) in \(periods) periods")
        let (client, service) = try guests.pair(from: .b, port: 7)
        for byte: UInt8 in 0..<100 {
            try client.write([byte])
            #expect(try service.read(1) == [byte])
            try service.write([byte])
            #expect(try client.read(1) == [byte])
        }
    }

    /// What a side has sent arrives in full, whoever stops sending first, and the other goes on.
    @Test(arguments: Setting.all)
    func halfClose(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let long = randomBytes(1 << 20, seed: 7)
        for side in Guests.Side.allCases {
            for clientFirst in [true, false] {
                let (client, service) = try guests.pair(from: side, port: 99)
                let (first, second) = clientFirst ? (client, service) : (service, client)
                try first.write(Array("request".utf8))
                first.finishWriting()
                #expect(try second.readToEnd() == Array("request".utf8))
                try sideBySide(
                    {
                        try second.write(long)
                        second.finishWriting()
                    },
                    {
                        let got = try first.readToEnd()
                        expectSame(got, long)
                    })
            }
            // Nothing at all, and then the end.
            let (client, service) = try guests.pair(from: side, port: 99)
            client.finishWriting()
            #expect(try service.readToEnd().isEmpty)
            service.finishWriting()
            #expect(try client.readToEnd().isEmpty)
        }
    }

    /// A program that is killed takes its connection with it, and nothing else.
    @Test(arguments: Setting.all)
    func aProgramThatGoesAway(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let kept = try guests.pair(from: .a, port: 5)
        for _ in 0..<8 {
            for clientFirst in [true, false] {
                let listener = try guests.listen(.b, port: 6)
                var client: Stream? = try guests.connected(.a, port: 6)
                var service: Stream? = try listener.accept()
                try client?.write(Array("bytes on their way".utf8))
                if clientFirst { client = nil } else { service = nil }
                #expect((clientFirst ? service : client)?.isClosed(seconds: Guests.patience) == true)
            }
        }
        try kept.client.write([1, 2, 3])
        #expect(try kept.service.read(3) == [1, 2, 3])
        #expect(try guests.status(.a)["link"] as? String == "up")
    }

    @Test(arguments: Setting.all)
    func refusals(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startAndWait(.a)
        #expect(try guests.connect(.a, port: 3240).result == EHOSTUNREACH, "the peer's agent is not up")
        #expect(try guests.connect(.a, port: 0).result == EINVAL)
        try guests.start(.b)
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        for side in Guests.Side.allCases {
            #expect(try guests.connect(side, port: 3240).result == ECONNREFUSED)
            #expect(try guests.connect(side, port: 65535).result == ECONNREFUSED)
            #expect(try guests.connect(side, port: 0).result == EINVAL)
        }
        // A socket that nobody listens at any more.
        let path = guests.runtime(.b) + "/port/8.4"
        let dead = LocalSocket.listen(path)
        close(dead)
        #expect(access(path, F_OK) == 0)
        #expect(try guests.connect(.a, port: 8).result == ECONNREFUSED)
        // Its other address is tried as well.
        let listener = try guests.listen(.b, port: 8, family: "6")
        let client = try guests.connected(.a, port: 8)
        try client.write([42])
        #expect(try listener.accept().read(1) == [42])
    }

    /// Each side opens from its own share of the channels.
    @Test(arguments: Setting.all)
    func noMoreThanThereAreChannels(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        for side in Guests.Side.allCases {
            let listener = try guests.listen(side.other, port: 77)
            var clients = try (0..<2).map { _ in try guests.connected(side, port: 77) }
            var services = try (0..<2).map { _ in try listener.accept() }
            #expect(try guests.connect(side, port: 77).result == EADDRNOTAVAIL)
            clients.removeLast()
            #expect(services[1].isClosed(seconds: Guests.patience))
            services.removeLast()
            let again = try guests.connected(side, port: 77)
            try again.write([1])
            #expect(try listener.accept().read(1) == [1])
            try clients[0].write([2])
            #expect(try services[0].read(1) == [2])
        }
    }

    /// A service that is too busy to accept is waited for, but not for ever.
    @Test(arguments: Setting.all)
    func aServiceThatDoesNotAccept(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let listener = try guests.listen(.b, port: 9, backlog: 1)
        let waiting = try listener.fillBacklog()
        #expect(try guests.connect(.a, port: 9).result == ETIMEDOUT)
        for _ in waiting { _ = try listener.accept() }
        let client = try guests.connected(.a, port: 9)
        try client.write([3])
        // The one that was given up may have got through to the listener in the same moment; it has ended.
        let first = try? listener.accept().read(1)
        #expect(try first ?? listener.accept().read(1) == [3])
    }

    @Test(arguments: Setting.all)
    func requestsThatAreNone(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        for bytes in [[UInt8](repeating: 0, count: 16), [UInt8](repeating: 0xFF, count: 16)] {
            let (result, stream) = try guests.ask(.a, bytes)
            #expect(result == EINVAL)
            #expect(try stream.readToEnd().isEmpty)
        }
        // Cut short at every length, one byte at a time, and left.
        let status = ControlProtocol.request(.init(operation: .status, port: 0, flags: 0))
        for length in 0..<status.count {
            let stream = try Stream(connectedTo: guests.runtime(.a) + "/agent.sock")
            for byte in status[..<length] { try stream.write([byte]) }
        }
        let slow = try Stream(connectedTo: guests.runtime(.a) + "/agent.sock")
        for byte in status { try slow.write([byte]) }
        let answer = try slow.readToEnd()
        let reply = try #require(ControlProtocol.parseReply(answer))
        #expect(reply.result == 0)
        #expect(answer.count == 16 + reply.length)
        #expect(String(decoding: answer[16...], as: UTF8.self).hasPrefix("side: a\nlink: up\n"))
        // More programs at once than the agent serves: some are let go, and it serves on.
        let crowd = try (0..<300).map { _ in try Stream(connectedTo: guests.runtime(.a) + "/agent.sock") }
        #expect(crowd.last?.isClosed(seconds: Guests.patience) == true)
        withExtendedLifetime(crowd) {}
    }

    /// The kernel's part of a report never holds the data path up, and both forms of a report agree.
    @Test(arguments: Setting.all)
    func statusSaysWhatIs(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startBoth()
        let (client, service) = try guests.pair(from: .b, port: 4000)
        try client.write([1, 2, 3, 4, 5])
        #expect(try service.read(5) == [1, 2, 3, 4, 5])
        let json = try guests.status(.b)
        let text = try guests.statusText(.b)
        #expect(json["side"] as? String == "b")
        #expect(json["version"] as? String == RingwayVersion.string)
        #expect(json["waiting"] == nil)
        #expect(json["peer-polls"] as? Bool == !setting.doorbells)
        #expect(json["doorbell"] as? String == (setting.doorbells ? "eventfd:10,11" : "none"))
        let epoch = try #require(json["epoch"] as? Int)
        let peerEpoch = try #require(json["peer-epoch"] as? Int)
        #expect(text.contains("epoch: \(epoch)  peer epoch: \(peerEpoch)\n"))
        #expect(try guests.status(.a)["peer-epoch"] as? Int == epoch)
        let sections = try #require(json["sections"] as? [[String: Any]])
        #expect(sections.map { $0["side"] as? String } == ["b", "a"])
        #expect(sections.map { $0["bytes"] as? Int } == [Guests.sectionSize, Guests.sectionSize])
        #expect(sections.map { $0["memory"] as? String } == ["cached", "cached"])
        let channel = try #require((json["channels"] as? [[String: Any]])?.first)
        #expect(channel["number"] as? Int == 2, "b opens channels from 2 on")
        #expect(channel["port"] as? Int == 4000)
        #expect(channel["bytes-out"] as? Int == 5)
        #expect(text.contains("channel 2: connected, port 4000, 0 bytes in, 5 bytes out\n"))
        #expect(text.contains("usb: usbip-host: "))
    }
}

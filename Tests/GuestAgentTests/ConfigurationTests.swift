// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import RingTransport
import Testing

@testable import GuestAgent

/// The diagnostic of what must fail.
func diagnostic<Value>(_ body: () throws -> Value) -> Diagnostic? {
    do {
        _ = try body()
        return nil
    } catch {
        return error as? Diagnostic
    }
}

func parse(_ text: String) throws -> Configuration {
    let configuration = Configuration()
    try ConfigurationParser.parse(text, path: "ringway.conf", into: configuration)
    return configuration
}

/// What every configuration must say.
let minimal = "side = a\nsection-a = file:/s,size=8M\nsection-b = file:/s,offset=8M\n"

@Suite struct ConfigurationTests {
    @Test func everyKey() throws {
        let checked = try CheckedConfiguration(
            parse(
                """
                # All that there is.
                side = b
                section-a = uio:ringway,map=1,offset=0,size=8M
                section-b=uio:ringway,map=1,offset=8M   # the second half
                \tdoorbell =\tuio:ringway

                channels = 3
                ring-size = 64K
                opens-a = 2
                heartbeat-ms = 20
                heartbeat-misses = 7
                spin-us = 15
                connect-timeout-ms = 250
                guard = off
                policy = /etc/p
                group = 4711
                runtime-dir = /tmp/r
                """))
        #expect(checked.side == .b)
        #expect(checked.section(.a).text == "uio:ringway,map=1,offset=0,size=8M")
        #expect(checked.section(.b).text == "uio:ringway,map=1,offset=8M")
        #expect(checked.doorbell.text == "uio:ringway")
        #expect(checked.geometry == SectionGeometry(channels: 3, ringCapacity: 65536, opensA: 2))
        #expect(checked.heartbeatMilliseconds == 20)
        #expect(checked.heartbeatMisses == 7)
        #expect(checked.spinMicroseconds == 15)
        #expect(checked.connectTimeoutMilliseconds == 250)
        #expect(checked.runtimeDirectory == "/tmp/r")
        #expect(!checked.configuration.isGuarded)
        #expect(checked.configuration.policy == "/etc/p" && checked.configuration.group == 4711)
    }

    @Test func defaults() throws {
        let checked = try CheckedConfiguration(parse(minimal))
        #expect(checked.doorbell.text == "none")
        #expect(checked.geometry == SectionGeometry(channels: 16, ringCapacity: 262_144, opensA: 8))
        #expect(checked.heartbeatMilliseconds == 500)
        #expect(checked.heartbeatMisses == 10)
        #expect(checked.spinMicroseconds == nil)
        #expect(checked.connectTimeoutMilliseconds == 10_000)
        #expect(checked.runtimeDirectory == "/run/ringway")
        #expect(checked.configuration.isGuarded)
        #expect(checked.configuration.policy == nil && checked.configuration.group == 0)
        #expect(try CheckedConfiguration(parse(minimal + "spin-us = 5\n")).spinMicroseconds == 5)
        #expect(try CheckedConfiguration(parse(minimal + "channels = 1\n")).geometry.opensA == 0)
    }

    /// The list that help prints is the list that the parser knows.
    @Test func everyListedKeyIsKnown() {
        for key in Configuration.keys {
            let said = diagnostic { try parse("\(key.name) = \u{7F}") }?.message ?? ""
            #expect(said.contains("ringway.conf:1"), "\(key.name)")
            #expect(!said.contains("there is no key"), "\(key.name)")
        }
        #expect(Set(Configuration.keys.map(\.name)).count == Configuration.keys.count)
    }

    @Test(arguments: ["\r\n", "\n"])
    func linesMayEndAsElsewhere(_ end: String) throws {
        let text = minimal.split(separator: "\n").joined(separator: end)
        #expect(try CheckedConfiguration(parse(text)).section(.b).text == "file:/s,offset=8M")
        #expect(diagnostic { try parse(text + end + "x") }?.message.hasPrefix("ringway.conf:4:") == true)
    }

    /// A comment begins where a word could; inside of a word the character is its own.
    @Test(arguments: [
        ("/etc/p#1", "/etc/p#1"), ("/etc/p#1 # two", "/etc/p#1"), ("/etc/p\t#", "/etc/p"), ("/etc/p #1#", "/etc/p"),
    ])
    func whereACommentBegins(_ value: String, _ policy: String) throws {
        let checked = try CheckedConfiguration(parse(minimal + "policy = \(value)\n#runtime-dir = x\n"))
        #expect(checked.configuration.policy == policy)
    }

    @Test(arguments: [
        "channels=1", "channels = 256", "ring-size = 4K", "ring-size = 4096", "ring-size = 0x1000", "ring-size = 1G",
        "opens-a = 0", "opens-a = 16", "heartbeat-ms = 10", "heartbeat-ms = 60000", "heartbeat-misses = 2",
        "heartbeat-misses = 1000", "spin-us = 0", "spin-us = 10000", "spin-us = auto", "connect-timeout-ms = 100",
        "connect-timeout-ms = 600000", "unlink-timeout-ms = 1000", "unlink-timeout-ms = 600000", "runtime-dir = /",
        "doorbell = none", "doorbell = eventfd:3,4", "guard = on", "guard = off",
    ])
    func theLimitsAreValid(_ line: String) {
        #expect(diagnostic { try CheckedConfiguration(parse(minimal + line)) } == nil)
    }

    @Test(arguments: [
        "side = c", "side =", "side = A", "side = a b", "section-a = nowhere", "section-a = file:",
        "section-b = file:/a,size=5", "section-b = devmem:0x1000", "doorbell = gong", "doorbell = eventfd:3",
        "channels = 0", "channels = 257", "channels = -1", "channels = ten", "channels =", "channels = 1K",
        "channels = 99999999999999999999", "ring-size = 2K", "ring-size = 2G", "ring-size = 5000", "ring-size = 12K",
        "ring-size = K", "opens-a = 257", "opens-a = -1", "heartbeat-ms = 9", "heartbeat-ms = 60001",
        "heartbeat-misses = 1", "heartbeat-misses = 1001", "spin-us = 10001", "spin-us = never",
        "connect-timeout-ms = 99", "connect-timeout-ms = 600001", "unlink-timeout-ms = 999",
        "unlink-timeout-ms = 600001", "runtime-dir = run", "runtime-dir =",
        "runtime-dir = /" + String(repeating: "x", count: 79), "guard = yes", "guard =", "guard = ON",
    ])
    func valuesThatAreNotValid(_ line: String) throws {
        let error = try #require(diagnostic { try parse("\n# two lines before\n" + line) })
        #expect(error.exitCode == .badConfiguration)
        let key = line.prefix { $0 != " " }
        #expect(error.message.hasPrefix("ringway.conf:3: \(key)"), "\(error.message)")
        #expect(!error.message.contains("\n"))
    }

    @Test(arguments: [
        ("channel = 4", "no key `channel`"), ("= 4", "no key ``"), ("Side = a", "no key `Side`"),
        ("channels 4", "no `key = value` line"), ("[agent]", "no `key = value` line"),
        ("channels = 4\nchannels = 4", "`channels` is set twice"),
    ])
    func linesThatAreNotUnderstood(_ text: String, _ why: String) throws {
        let error = try #require(diagnostic { try parse(text) })
        #expect(error.exitCode == .badConfiguration)
        #expect(error.message.contains(why), "\(error.message)")
    }

    @Test(arguments: ["side", "section-a", "section-b"])
    func whatIsMissingIsNamed(_ key: String) throws {
        let lines = minimal.split(separator: "\n").filter { !$0.hasPrefix(key + " ") }
        let error = try #require(
            diagnostic { try CheckedConfiguration(parse(lines.joined(separator: "\n"))) })
        #expect(error.exitCode == .badConfiguration)
        #expect(error.message.contains("`\(key)` is not set"))
    }

    @Test func valuesThatDoNotFitTogether() throws {
        let opens = try #require(
            diagnostic { try CheckedConfiguration(parse(minimal + "channels = 4\nopens-a = 5")) })
        #expect(opens.exitCode == .badConfiguration && opens.message.contains("opens-a = 5"))
        let shared = try #require(
            diagnostic { try CheckedConfiguration(parse("side = a\nsection-a = file:/s\nsection-b = file:/s")) })
        #expect(shared.exitCode == .badConfiguration && shared.message.contains("share memory"))
    }

    @Test func anythingMayStandInAFile() {
        var bytes = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let noise = (0..<64).map { _ in UInt8.random(in: 0...255, using: &bytes) }
            let error = diagnostic { try parse(String(decoding: noise, as: UTF8.self) + "\nnonsense") }
            #expect(error?.exitCode == .badConfiguration)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import RingBuffer
import RingTransport

/// `key = value` lines, `#` comments; and the same keys as flags.
enum ConfigurationParser {
    /// - Parameters:
    ///   - text: the file's text. - path: its name, for messages.
    /// - Throws: exit code 78, naming file and line.
    static func parse(_ text: String, path: String, into configuration: inout Configuration) throws(Diagnostic) {
        var seen: [String] = []
        var number = 0
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            let content = trimmed(line.prefix { $0 != "#" })
            if content.isEmpty { continue }
            let place = compose("\(path):\(number)")
            guard let equals = content.firstIndex(of: "=") else {
                throw Diagnostic(.badConfiguration, "\(place): `\(content)` is no `key = value` line; correct it")
            }
            let key = trimmed(content[..<equals])
            let value = trimmed(content[content.index(after: equals)...])
            if seen.contains(key) {
                throw Diagnostic(.badConfiguration, "\(place): `\(key)` is set twice; remove one of the lines")
            }
            seen.append(key)
            try set(key, value, place: place, unknown: .badConfiguration, in: &configuration)
        }
    }

    /// Sets one key.
    /// - Parameters:
    ///   - place: what a message begins with. - unknown: exit code for a key that does not exist.
    static func set(
        _ key: String, _ value: String, place: String, unknown: ExitCode, in configuration: inout Configuration
    ) throws(Diagnostic) {
        switch key {
        case "side":
            guard value == "a" || value == "b" else { throw bad(place, key, value, "a or b") }
            configuration.side = value == "a" ? .a : .b
        case "section-a": configuration.sectionA = try section(value, place, key)
        case "section-b": configuration.sectionB = try section(value, place, key)
        case "doorbell":
            do throws(TransportError) {
                configuration.doorbell = try DoorbellSpecification(parsing: value)
            } catch {
                throw Diagnostic(.badConfiguration, "\(place): \(key): \(error.message)")
            }
        case "channels": configuration.channels = try number(value, 1...256, place, key)
        case "ring-size": configuration.ringSize = try ringSize(value, place, key)
        case "opens-a": configuration.opensA = try number(value, 0...256, place, key)
        case "heartbeat-ms": configuration.heartbeatMilliseconds = try number(value, 10...60000, place, key)
        case "heartbeat-misses": configuration.heartbeatMisses = try number(value, 2...1000, place, key)
        case "spin-us":
            configuration.spinMicroseconds = value == "auto" ? nil : try number(value, 0...10000, place, key)
        case "connect-timeout-ms":
            configuration.connectTimeoutMilliseconds = try number(value, 100...600_000, place, key)
        case "runtime-dir":
            // agent.sock and port/65535.6 must fit into a socket address of 107 bytes.
            guard value.hasPrefix("/"), value.utf8.count <= 80 else {
                throw bad(place, key, value, "an absolute path of at most 80 bytes")
            }
            configuration.runtimeDirectory = value
        default:
            throw Diagnostic(unknown, "\(place): there is no key `\(key)`; `ringway help agent` lists the keys")
        }
    }

    private static func bad(_ place: String, _ key: String, _ value: String, _ wanted: String) -> Diagnostic {
        Diagnostic(.badConfiguration, "\(place): \(key) = \(value) is not valid; it must be \(wanted)")
    }

    private static func section(_ value: String, _ place: String, _ key: String) throws(Diagnostic)
        -> SectionSpecification
    {
        do throws(TransportError) {
            return try SectionSpecification(parsing: value)
        } catch {
            throw Diagnostic(.badConfiguration, "\(place): \(key): \(error.message)")
        }
    }

    private static func number(
        _ value: String, _ range: ClosedRange<Int>, _ place: String, _ key: String
    ) throws(Diagnostic) -> Int {
        guard let number = Int(value), range.contains(number) else {
            throw bad(place, key, value, "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private static func ringSize(_ value: String, _ place: String, _ key: String) throws(Diagnostic) -> Int {
        guard let size = byteCount(value), (4096...(1 << 30)).contains(size), size & (size - 1) == 0 else {
            throw bad(place, key, value, "a power of two from 4K to 1G")
        }
        return size
    }

    private static func trimmed(_ text: Substring) -> String {
        var part = text
        while let first = part.first, first == " " || first == "\t" { part = part.dropFirst() }
        while let last = part.last, last == " " || last == "\t" || last == "\r" { part = part.dropLast() }
        return String(part)
    }
}

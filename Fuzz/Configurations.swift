// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

@testable import GuestAgent

/// Any text as configuration file, flags or a single place: it is refused in one line that says where, or understood,
/// and what is understood is understood again from what was made of it.
func fuzzConfiguration(_ input: inout Input) {
    let kind = input.byte()
    let text = String(bytes: input.rest()[...])
    switch kind & 7 {
    case 4...: compareOverlaps(Array(text.utf8))
    case 0, 1: parseFile(text)
    case 2: parseArguments(text.words)
    default: parsePlaces(text)
    }
}

private func checkMessage(_ error: Diagnostic) {
    must(!error.message.isEmpty, "an error without words")
    must(error.exitCode != .success, "an error that is none")
}

private func parseFile(_ text: String) {
    let configuration = Configuration()
    do throws(Diagnostic) {
        try ConfigurationParser.parse(text, path: "ringway.conf", into: configuration)
        try check(try CheckedConfiguration(configuration))
    } catch {
        checkMessage(error)
        must(error.exitCode == .badConfiguration, "exit code \(error.exitCode)")
        must(error.message.hasPrefix("ringway.conf:") || error.message.hasPrefix("configuration:"), error.message)
    }
}

private func check(_ checked: CheckedConfiguration) throws(Diagnostic) {
    let found = checked.configuration
    must((1...256).contains(checked.geometry.channels), "\(checked.geometry)")
    must(!checked.section(.a).overlaps(checked.section(.b)), "sections overlap")
    must(!checked.section(.b).overlaps(checked.section(.a)), "sections overlap, seen from the other")
    must((10...60000).contains(found.heartbeatMilliseconds), "heartbeat-ms \(found.heartbeatMilliseconds)")
    must(Configuration.isRuntimeDirectory(found.runtimeDirectory), found.runtimeDirectory)
    let lines = [
        "side = \(checked.side.name)", "section-a = \(checked.section(.a).text)",
        "section-b = \(checked.section(.b).text)", "doorbell = \(found.doorbell.text)",
        "export = \(found.exports.map(\.text).joined(separator: " "))",
        "attach = \(found.attachments.map(\.text).joined(separator: " "))", "channels = \(found.channels)",
    ]
    let again = Configuration()
    try ConfigurationParser.parse(lines.joined(separator: "\n"), path: "again", into: again)
    let same = try CheckedConfiguration(again)
    must(
        same.section(.a).text == checked.section(.a).text && same.doorbell.text == found.doorbell.text, "another place")
    must(again.exports == found.exports && again.attachments == found.attachments, "other rules")
}

private func parseArguments(_ words: [String]) {
    // A configuration file of the machine that the fuzzer runs on has no part in it.
    let arguments = words.contains { $0.hasPrefix("--config") } ? [] : words
    do throws(Diagnostic) {
        _ = try AgentArguments.parse(["--config=/dev/null"] + arguments)
    } catch {
        checkMessage(error)
        must(error.exitCode == .usage, "exit code \(error.exitCode): \(error.message)")
    }
}

/// Two places of one file against plain intervals.
private func compareOverlaps(_ bytes: [UInt8]) {
    guard bytes.count >= 4 else { return }
    func place(_ offset: UInt8, _ size: UInt8) -> (SectionSpecification, Range<Int>)? {
        let start = Int(offset & 15) * 4096
        let length = Int(size & 7) * 4096
        let text = "file:/m,offset=\(start)" + (length > 0 ? ",size=\(length)" : "")
        guard let place = try? SectionSpecification(parsing: text) else { return nil }
        return (place, start..<(length > 0 ? start + length : Int.max))
    }
    guard let one = place(bytes[0], bytes[1]), let other = place(bytes[2], bytes[3]) else {
        return must(false, "a place that is no place: \(bytes)")
    }
    must(one.0.overlaps(other.0) == one.1.overlaps(other.1), "\(one.0.text) and \(other.0.text) overlap, or not")
}

private func parsePlaces(_ text: String) {
    do throws(TransportError) {
        let place = try SectionSpecification(parsing: text)
        must(place.overlaps(place), "does not overlap itself: \(text)")
        must(place.offset % 4096 == 0 && place.offset >= 0 && place.size ?? 1 > 0, "\(place.offset) \(place.size ?? 0)")
        must(try SectionSpecification(parsing: place.text).number == place.number, "another number")
    } catch { must(!error.message.isEmpty, "an error without words") }
    do throws(TransportError) { _ = try DoorbellSpecification.parse(text) } catch {
        must(!error.message.isEmpty, "an error without words")
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

@testable import GuestAgent

/// A file of this process alone, in memory.
nonisolated(unsafe) private let file: (descriptor: Int32, path: String) = {
    let fd = cs_memfd("ringway-fuzz-rules")
    return (fd, "/proc/self/fd/\(fd)")
}()

/// Any bytes as the file in which the device manager keeps its rules: what is no rule is passed over, and what is one
/// stands in the book once, in the way in which it would be written again.
func fuzzRules(_ input: inout Input) {
    let bytes = input.rest()
    let book = book(of: bytes)
    let again = bookOfText(book.text)
    must(again.text == book.text, "kept as \(book.text), read again as \(again.text)")
    must(again.exports == book.exports && again.attachments == book.attachments, "other rules")
    for rule in book.exports + book.attachments {
        must(DeviceRule(rule.text) == rule, "\(rule.text) is read as another rule")
        must(!rule.text.utf8.contains { $0 <= 0x20 }, "a rule with blanks")
    }
    for device in book.devices { must(book.exports.contains(device), "a device that is not exported: \(device.text)") }
}

private func bookOfText(_ text: String) -> RuleBook { book(of: Array(text.utf8)) }

private func book(of bytes: [UInt8]) -> RuleBook {
    must(ftruncate(file.descriptor, 0) == 0, "ftruncate")
    lseek(file.descriptor, 0, SEEK_SET)
    let count = bytes.withUnsafeBufferPointer { write(file.descriptor, $0.baseAddress, $0.count) }
    must(count == bytes.count, "write")
    return RuleBook(path: file.path, configuredExports: [], configuredAttachments: [])
}

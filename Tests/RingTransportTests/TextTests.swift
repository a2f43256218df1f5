// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RingTransport

/// The byte-wise text functions, against what the standard library says of the same ASCII text.
@Suite struct TextTests {
    /// Every text of up to four of these.
    static let texts: [String] = {
        var all = [""]
        var last = all
        for _ in 0..<4 {
            last = last.flatMap { text in ["a", "=", " ", "\t"].map { text + $0 } }
            all += last
        }
        return all
    }()

    @Test func cuttingAndSplitting() {
        for text in Self.texts {
            let parts = text.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            #expect(text.parts(between: "=") == parts)
            #expect(text.words == text.split(separator: " ").map(String.init))
            #expect(text.head(before: "=") == parts[0])
            let first = text.cut(at: "=")
            #expect(first?.before == (parts.count > 1 ? parts[0] : nil))
            #expect(first?.behind == (parts.count > 1 ? parts.dropFirst().joined(separator: "=") : nil))
            let last = text.cut(atLast: "=")
            #expect(last?.before == (parts.count > 1 ? parts.dropLast().joined(separator: "=") : nil))
            #expect(last?.behind == (parts.count > 1 ? parts.last : nil))
        }
    }

    @Test func ends() {
        for text in Self.texts {
            let body = text.drop { $0 == " " || $0 == "\t" }
            let trimmed = String(body.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
            #expect(text.trimmed == trimmed)
            for prefix in Self.texts {
                let rest = text.hasPrefix(prefix) ? String(text.dropFirst(prefix.utf8.count)) : nil
                #expect(text.rest(after: prefix) == rest)
            }
        }
        #expect("a\r".trimmed == "a")
    }

    @Test func comparing() {
        for left in Self.texts {
            for right in Self.texts {
                let leftBytes = Array(left.utf8)
                let rightBytes = Array(right.utf8)
                #expect((left == right) == (leftBytes == rightBytes))
                #expect((left != right) == (leftBytes != rightBytes))
                #expect(left.precedes(right) == leftBytes.lexicographicallyPrecedes(rightBytes))
                #expect((left ~= right) == (leftBytes == rightBytes))
            }
        }
        // What looks the same is not the same: é in one scalar and in two.
        #expect("\u{E9}" != "e\u{301}")
        #expect(["\u{E9}"].contains("\u{E9}"))
        #expect(!["\u{E9}"].contains("e\u{301}"))
    }

    @Test func joining() {
        #expect([String]().joined(by: ", ") == "")
        #expect(["a"].joined(by: ", ") == "a")
        #expect(["a", "", "b"].joined(by: ", ") == "a, , b")
    }

    @Test func numbers() {
        #expect(unsigned("18446744073709551615") == UInt64.max)
        #expect(unsigned("18446744073709551616") == nil)
        #expect(unsigned("28446744073709551615") == nil)
        #expect(unsigned("ffffffffffffffff", radix: 16) == UInt64.max)
        #expect(unsigned("FFFFffffFFFFffff0", radix: 16) == nil)
        for bad in ["", "-1", "+1", "1 ", "a", "0x1", "１"] { #expect(unsigned(bad) == nil, "\(bad)") }
        #expect(unsigned("g", radix: 16) == nil)
        #expect(number("7", in: 1...7) == 7)
        #expect(number("8", in: 1...7) == nil)
        #expect(number("0", in: 1...7) == nil)
        #expect(number("9223372036854775808", in: 0...Int.max) == nil)
        for value in [UInt64(0), 1, 9, 10, 15, 16, 255, 12345, UInt64.max] {
            #expect(digits(value) == String(value))
            #expect(hexadecimal(value) == String(value, radix: 16))
        }
    }

    /// No digit, however wide, is lost in a message; text passes as it is.
    @Test func messages() {
        let values: [Int] = [0, 7, -7, Int.max, Int.min]
        for value in values { #expect(compose("<\(value)>") == "<" + String(value) + ">") }
        #expect(
            compose("\(UInt64.max) \(UInt32.max) \(UInt16.max) \(Int32.min)")
                == "18446744073709551615 4294967295 65535 -2147483648")
        let part: Message = "b"
        #expect((("a\("Ω")" as Message) + part).text == "aΩb")
        #expect(compose(Message("plain")) == "plain")
    }

    @Test func brokenTextIsRepaired() {
        #expect(String(bytes: [0x61, 0xFF, 0x62][...]) == "a?b")
        #expect(String(bytes: Array("aüb".utf8)[...]) == "aüb")
        #expect("a\0b".copyBytes() == [0x61, 0, 0x62])
    }
}

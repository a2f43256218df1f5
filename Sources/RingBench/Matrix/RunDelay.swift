// SPDX-License-Identifier: Apache-2.0
import CShim

/// How long this process has waited for a processor that did something else (proc(5), schedstat: the second number).
enum RunDelay {
    /// Nanoseconds since it started; 0 where the kernel does not count them.
    static var now: UInt64 {
        let file = cs_open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        var text = [UInt8](repeating: 0, count: 128)
        let count = read(file, &text, text.count)
        return parse(text.prefix(max(0, count)))
    }

    static func parse(_ text: some Sequence<UInt8>) -> UInt64 {
        let numbers = String(decoding: Array(text), as: UTF8.self).split { $0 == " " || $0 == "\n" }
        return numbers.count > 1 ? UInt64(numbers[1]) ?? 0 : 0
    }
}

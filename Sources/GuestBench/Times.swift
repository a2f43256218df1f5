// SPDX-License-Identifier: Apache-2.0
import CShim

/// How long each of a number of requests took.
struct Times {
    /// Of all requests together.
    let bytes: Int
    /// One a request, in nanoseconds.
    private var each: [UInt64] = []
    private var began: UInt64 = 0

    init(bytes: Int, count: Int) {
        self.bytes = bytes
        each.reserveCapacity(count)
    }

    /// Nanoseconds of the monotonic clock.
    static func now() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
    }

    var count: Int { each.count }

    mutating func add(_ time: UInt64) { each.append(time) }
    mutating func begin() { began = Self.now() }
    mutating func end() { each.append(Self.now() &- began) }

    /// Requests, bytes, and nanoseconds: of all together, and percentiles of one.
    var json: String {
        let sorted = each.sorted()
        var total: UInt64 = 0
        for time in sorted { total &+= time }
        func at(_ percent: Int) -> UInt64 { sorted[(sorted.count - 1) * percent / 100] }
        var text = "{\"requests\":" + String(sorted.count) + ",\"bytes\":" + String(bytes)
        text += ",\"nanoseconds\":" + String(total) + ",\"p50\":" + String(at(50))
        text += ",\"p90\":" + String(at(90)) + ",\"p99\":" + String(at(99)) + ",\"max\":" + String(at(100)) + "}"
        return text
    }
}

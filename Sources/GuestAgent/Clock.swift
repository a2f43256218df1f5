// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// Monotonic time and timer descriptors.
enum Clock {
    static func microseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) &* 1_000_000 &+ UInt64(now.tv_nsec) / 1000
    }

    /// Until a time, for poll(): 0 when it has come, at most a minute.
    static func millisecondsUntil(_ time: UInt64) -> Int32 {
        let now = microseconds()
        return time <= now ? 0 : Int32(truncatingIfNeeded: min((time - now) / 1000 + 1, 60_000))
    }

    /// A periodic timer, or an unarmed one; -1 with errno.
    static func timer(everyMilliseconds period: Int?) -> Int32 {
        let fd = timerfd_create(CLOCK_MONOTONIC, cs_tfd_nonblock_cloexec())
        guard fd >= 0, let period else { return fd }
        var spec = itimerspec()
        spec.it_interval = timespec(tv_sec: period / 1000, tv_nsec: (period % 1000) * 1_000_000)
        spec.it_value = spec.it_interval
        timerfd_settime(fd, 0, &spec, nil)
        return fd
    }

    /// Fires once, after `microseconds` (at least 1).
    static func arm(_ fd: Int32, microseconds: UInt64) {
        var spec = itimerspec()
        let us = Int(max(1, microseconds))
        spec.it_value = timespec(tv_sec: us / 1_000_000, tv_nsec: (us % 1_000_000) * 1000)
        timerfd_settime(fd, 0, &spec, nil)
    }

    /// Periods that have expired since the last call.
    static func drain(_ fd: Int32) -> UInt64 {
        var count: UInt64 = 0
        let bytes = withUnsafeMutablePointer(to: &count) { read(fd, $0, 8) }
        return bytes == 8 ? count : 0
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation

/// Rings a doorbell without end, on a thread of its own.
final class Storm: @unchecked Sendable {
    private let lock = NSLock()
    private var goesOn = true
    private let finished = DispatchSemaphore(value: 0)

    init(_ bell: Int32) {
        Thread.detachNewThread { [self] in
            while lock.withLock({ goesOn }) { _ = eventfd_write(bell, 1) }
            finished.signal()
        }
    }

    /// Returns when the last one has rung.
    func end() {
        lock.withLock { goesOn = false }
        finished.wait()
    }
}

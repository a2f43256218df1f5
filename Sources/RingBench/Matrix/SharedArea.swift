// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim

/// Memory that this process and those that it forks have in common, at one address. Zeros when new.
final class SharedArea {
    let base: UnsafeMutableRawPointer
    let size: Int

    /// - Parameter size: bytes; rounded up to whole pages.
    init(_ size: Int) throws {
        let whole = (max(size, 1) + 4095) & ~4095
        let mapped = mmap(nil, whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)
        guard let mapped, mapped != cs_map_failed() else {
            throw BenchError.system("map \(whole) bytes of shared memory", "free some memory")
        }
        (base, self.size) = (mapped, whole)
    }

    deinit { munmap(base, size) }
}

// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim

/// Memory that this process has in common with those that it forks, at one address, or with those that it gives the
/// descriptor of it. Zeros when new.
final class SharedArea {
    let base: UnsafeMutableRawPointer
    let size: Int

    /// - Parameters:
    ///   - size: bytes; rounded up to whole pages.
    ///   - descriptor: of a file that has as many; unless given, of none.
    init(_ size: Int, descriptor: Int32 = -1) throws {
        let whole = (max(size, 1) + 4095) & ~4095
        let origin = descriptor < 0 ? MAP_ANONYMOUS : 0
        let mapped = mmap(nil, whole, PROT_READ | PROT_WRITE, MAP_SHARED | origin | MAP_POPULATE, descriptor, 0)
        guard let mapped, mapped != cs_map_failed() else {
            throw BenchError.system("map \(whole) bytes of shared memory", "free some memory")
        }
        (base, self.size) = (mapped, whole)
    }

    deinit { munmap(base, size) }
}

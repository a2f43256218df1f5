// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation

/// A folder in shared memory, gone when the last reference goes.
public final class ScratchFolder: Sendable {
    public let path: String

    public init() throws {
        var template = Array("/dev/shm/ringway-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemFailure("mkdtemp in /dev/shm") }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

// SPDX-License-Identifier: Apache-2.0
import CShim

/// What a symbolic link holds; nil when there is none. A target of more than 4096 bytes is cut off.
@inline(never)
public func linkTarget(_ path: String) -> String? {
    var target = [UInt8](repeating: 0, count: 4096)
    let count = target.withUnsafeMutableBytes { room in
        path.withCString { Int32(truncatingIfNeeded: readlink($0, room.baseAddress!, room.count)) }
    }
    return count > 0 ? String(bytes: target[..<Int(count)]) : nil
}

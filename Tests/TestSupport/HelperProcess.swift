// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim

/// A helper program of the tests, running. It is another build product, and stands beside the test program.
public final class HelperProcess: @unchecked Sendable {
    public let pid: pid_t
    private let output: Int32

    /// - Parameter descriptors: what it inherits as the numbers ``firstDescriptor`` and following.
    public init(_ name: String, _ arguments: [String], descriptors: [Int32] = []) throws {
        let path = try Self.folder() + "/" + name
        let words = ([path] + arguments).map { strdup($0) }
        defer { words.forEach { free($0) } }
        var output: Int32 = -1
        pid = ct_spawn(path, words + [nil], descriptors, Int32(descriptors.count), &output)
        guard pid > 0 else { throw SystemFailure("start of \(path)") }
        self.output = output
    }

    public static let firstDescriptor = Int32(CT_FIRST_FD)

    /// Reads what it prints until it ends. Helpers bound their own life, so this ends.
    /// - Returns: its exit status (128 + signal when it was killed) and its output.
    public func finish() -> (status: Int32, output: String) {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(output, &buffer, buffer.count)
            if count > 0 { text += buffer[..<count] }
            if count == 0 || (count < 0 && cs_errno() != EINTR) { break }
        }
        close(output)
        return (ct_reap(pid), String(decoding: text, as: UTF8.self))
    }

    static func folder() throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard length > 0 else { throw SystemFailure("readlink of /proc/self/exe") }
        let path = buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        return String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    }
}

// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

/// Calls that do not come back, or find something else than they began with. What TCP says is asked of TCP.
@Suite(.enabled(if: !Variant.built.isEmpty, "`make guest probes` has not been run"))
struct EscapeTests {
    private func same(_ variant: Variant, _ mode: String) throws -> [String] {
        let port = try TCPListener.freePort(.v4)
        let overTCP = try Probe.run(variant, mode, .v4, port: port, runtimeDirectory: nil)
        let overRing = try Probe.run(variant, mode, .v4, port: port, runtimeDirectory: ScratchFolder())
        #expect(overRing.lines == overTCP.lines, "\(overRing.errors)")
        return overTCP.lines
    }

    @Test("a connect that a handler leaves by a jump keeps one descriptor, until the next", arguments: Variant.built)
    func jumped(_ variant: Variant) throws {
        let result = try Probe.run(variant, "jumped", .v4, port: 3240, runtimeDirectory: FakeAgent(.silence))
        #expect(result.lines == ["more descriptors than before: 1", "own descriptors closed: 0"], "\(result.errors)")
    }

    @Test("a program that answers system calls in a handler", arguments: Variant.built)
    func trapped(_ variant: Variant) throws {
        let result = try Probe.run(variant, "trapped", .v4, port: 3240, runtimeDirectory: FakeAgent(.echo))
        // An emulated processor's kernel may have no filters.
        if !variant.isNative, result.lines == ["no filter"] { return }
        #expect(result.lines.first == "connect: ok" && result.lines.last == "trapped: yes", "\(result.lines)")
    }

    /// Where the kernel itself looks at the pointers: qemu-user does not do it as the kernel does.
    @Test("an answer for which there is no memory is EFAULT, as TCP's")
    func tornPointers() throws {
        for variant in Variant.built where variant.isNative {
            #expect(try same(variant, "torn-pointers").count > 1000)
        }
    }

    @Test("a listener that is closed as soon as it is stopped: its number's next file is let alone")
    func overtaking() throws {
        for variant in Variant.built where variant.isNative {
            #expect(try same(variant, "overtaking").count == 60)
        }
    }
}

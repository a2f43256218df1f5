// SPDX-License-Identifier: Apache-2.0
import Foundation
import RingTransport
import TestSupport
import Testing

@testable import GuestAgent

/// A script takes modprobe's place.
@Suite(.serialized) struct KernelModuleTests {
    private func load(_ script: String?) throws -> Result<Void, Diagnostic> {
        let folder = try ScratchFolder()
        let program = folder.path + "/modprobe"
        let present = folder.path + "/driver"
        if let script {
            try "#!/bin/sh\nhere=\(folder.path)\n\(script)\n".write(
                toFile: program, atomically: true, encoding: .utf8)
            chmod(program, 0o755)
        }
        return Result { () throws(Diagnostic) in
            try KernelModule.load("vhci-hcd", programs: ["/nowhere/modprobe", program]) {
                access(present, F_OK) == 0
            }
        }
    }

    private func refusal(_ script: String?) throws -> String {
        guard case .failure(let why) = try load(script) else { return "" }
        #expect(why.exitCode == .noSuch)
        return why.message
    }

    @Test func theDriverIsThere() throws {
        try load(#"[ "$*" = "-q vhci-hcd" ] && touch $here/driver"#).get()
    }

    /// Another program loads the module at that moment: modprobe has nothing to do, and the driver comes later.
    @Test func theDriverComesLater() throws {
        try load("{ sleep 0.3; touch $here/driver; } >/dev/null 2>&1 &").get()
    }

    @Test func whyThereIsNoDriver() throws {
        #expect(try refusal(nil).contains("this guest has no modprobe"))
        #expect(try refusal("exit 3").contains("modprobe failed with status 3"))
        #expect(try refusal("kill -9 $$").contains("modprobe failed with status 137"))
        #expect(try refusal("exit 0").contains("modprobe succeeded, but the driver is not there"))
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// Kernel modules, loaded by the guest's own `modprobe`, which knows what each one needs.
enum KernelModule {
    static let programs = ["/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe", "/usr/bin/modprobe"]

    /// - Parameters:
    ///   - name: such as `usbip-host`.  - isThere: whether it is loaded or built in, and at work.
    /// - Throws: 66 when it cannot be had.
    static func load(
        _ name: String, programs: [String] = Self.programs, isThere: () -> Bool
    ) throws(Diagnostic) {
        if isThere() { return }
        let status = run(programs, [name])
        // A module that somebody else is loading counts as loaded for modprobe, before its driver is there.
        var turns = status == 0 ? patience / turn : 0
        while !isThere() {
            guard turns > 0 else { throw missing(name, status) }
            turns -= 1
            _ = poll(nil, 0, turn)
        }
    }

    /// Milliseconds: how long a driver's set-up may take after modprobe has ended, and between two looks.
    private static let patience: Int32 = 5000
    private static let turn: Int32 = 10

    private static func missing(_ name: String, _ status: Int32?) -> Diagnostic {
        let why: String
        switch status {
        case nil: why = "this guest has no modprobe"
        case 0: why = "modprobe succeeded, but the driver is not there"
        default: why = compose("modprobe failed with status \(status ?? 0)")
        }
        return Diagnostic(
            .noSuch, "loading the kernel module \(name): \(why); load it at boot, or add it to this guest's image")
    }

    /// - Returns: modprobe's exit status; nil when there is none.
    private static func run(_ programs: [String], _ arguments: [String]) -> Int32? {
        guard let program = programs.first(where: { FileSystem.isExecutable($0) }) else { return nil }
        let child = fork()
        if child == 0 {
            var pointers: [UnsafeMutablePointer<CChar>?] = (["modprobe", "-q"] + arguments).map {
                $0.withCString { strdup($0) }
            }
            pointers.append(nil)
            _ = program.withCString { execv($0, &pointers) }
            _exit(127)
        }
        guard child > 0 else { return 127 }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 {
            if cs_errno() != EINTR { return 127 }
        }
        return cs_wifexited(status) ? cs_wexitstatus(status) : 128 + cs_wtermsig(status)
    }
}

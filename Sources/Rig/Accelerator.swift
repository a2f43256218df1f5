// SPDX-License-Identifier: Apache-2.0
import Foundation

/// How QEMU runs a guest's processor.
public enum Accelerator: Equatable, Sendable {
    /// The host's processor runs the guest.
    case kvm
    /// QEMU translates the guest's code: works everywhere, 5 to 20 times slower.
    case tcg

    /// QEMU's options for it and for the processor of `architecture`.
    func arguments(_ architecture: GuestArchitecture) -> [String] {
        switch (self, architecture) {
        case (.kvm, _): ["-accel", "kvm", "-cpu", "host"]
        // With "fast strings" Linux copies between a program and its sockets by `rep movsb`, of which TCG makes a load
        // and a store for each byte: a copy takes five times as long.
        case (.tcg, .x86_64): ["-accel", "tcg,thread=multi", "-cpu", "max,-erms,-fsrm"]
        // A later one has pointer authentication, whose cipher takes TCG long at each call and return.
        case (.tcg, .aarch64): ["-accel", "tcg,thread=multi", "-cpu", "cortex-a72"]
        }
    }
}

/// Which accelerator was chosen, and why not the faster one.
public struct AcceleratorVerdict: Equatable, Sendable {
    public let accelerator: Accelerator
    public let reason: String
}

/// Chooses the accelerator by what boots, not by what opens: some hosts have a `/dev/kvm` on which no stock
/// kernel starts.
public struct AcceleratorChoice {
    /// What can be asked of the machine, replaced in tests.
    struct Machine {
        var opensKVM: () -> Bool
        /// Boots a guest under KVM to the line that says that it is ready; throws where that fails.
        var bootsUnderKVM: () throws -> Void
    }

    /// The verdict for guests of `architecture` on `machine`.
    static func verdict(for architecture: GuestArchitecture, on machine: Machine) -> AcceleratorVerdict {
        guard architecture == .host else {
            return AcceleratorVerdict(accelerator: .tcg, reason: "the guest's processor is not this machine's")
        }
        guard machine.opensKVM() else {
            return AcceleratorVerdict(accelerator: .tcg, reason: "/dev/kvm cannot be opened")
        }
        do {
            try machine.bootsUnderKVM()
            return AcceleratorVerdict(accelerator: .kvm, reason: "a guest boots under KVM")
        } catch {
            return AcceleratorVerdict(accelerator: .tcg, reason: "no guest boots under KVM here")
        }
    }

    /// The verdict for `image`, from `cache` where this machine has been asked since it booted.
    public static func choose(
        for image: BuiltImage, architecture: GuestArchitecture, root: URL, cache: URL, runFolder: RunFolder
    ) -> AcceleratorVerdict {
        let bootID = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
        let note = cache.appendingPathComponent("accelerator-\(architecture.rawValue)")
        let remembered = (try? String(contentsOf: note, encoding: .utf8))?.split(separator: "\n").map(String.init)
        if let remembered, remembered.count == 3, remembered[0] + "\n" == bootID {
            return AcceleratorVerdict(accelerator: remembered[1] == "kvm" ? .kvm : .tcg, reason: remembered[2])
        }
        let verdict = verdict(
            for: architecture,
            on: Machine(
                opensKVM: { access("/dev/kvm", R_OK | W_OK) == 0 },
                bootsUnderKVM: { try tryKVM(image, architecture: architecture, root: root, runFolder: runFolder) }))
        let name = verdict.accelerator == .kvm ? "kvm" : "tcg"
        try? Data("\(bootID)\(name)\n\(verdict.reason)\n".utf8).write(to: note)
        return verdict
    }

    /// Enough for KVM on a slow machine; a guest that is up sooner ends the wait.
    private static let kvmTimeLimit = Duration.seconds(15)

    private static func tryKVM(
        _ image: BuiltImage, architecture: GuestArchitecture, root: URL, runFolder: RunFolder
    ) throws {
        let machine = try QemuMachine(
            MachineSettings(
                name: "kvm-probe", architecture: architecture, accelerator: .kvm, memory: image.memoryNeeded,
                kernel: image.kernel, initramfs: image.url, rootDisk: image.disk, doorbell: nil, devices: []),
            root: root, runFolder: runFolder)
        try machine.start()
        defer { machine.kill() }
        try machine.waitUntilReady(kvmTimeLimit)
    }
}

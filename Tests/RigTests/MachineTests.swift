// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Rig

@Suite struct AcceleratorTests {
    private struct NoBoot: Error {}

    private func verdict(
        _ architecture: GuestArchitecture = .host, opens: Bool = true, boots: @escaping () throws -> Void = {}
    ) -> Accelerator {
        AcceleratorChoice.verdict(for: architecture, on: .init(opensKVM: { opens }, bootsUnderKVM: boots)).accelerator
    }

    @Test func kvmIsTakenWhereAGuestBoots() { #expect(verdict() == .kvm) }

    @Test func aKVMThatOpensButBootsNothingIsNotTaken() {
        #expect(verdict(boots: { throw NoBoot() }) == .tcg)
    }

    @Test func nothingIsBootedWhereKVMCannotWork() {
        let other = GuestArchitecture.allCases.first { $0 != .host }!
        #expect(verdict(opens: false, boots: { Issue.record("booted without /dev/kvm") }) == .tcg)
        #expect(verdict(other, boots: { Issue.record("booted a foreign guest") }) == .tcg)
    }
}

@Suite struct QemuOptionsTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    @Test func oneOptionALine() {
        let text = "# comment\n-smp 1\n\n-no-reboot\n-append console=ttyS0 quiet\n"
        #expect(
            QemuOptions.parse(text).arguments == ["-smp", "1", "-no-reboot", "-append", "console=ttyS0 quiet"])
    }

    @Test func aMachineHasNoNetworkAndOneProcessor() throws {
        let settings = MachineSettings(
            name: "exporter", architecture: .x86_64, accelerator: .tcg, memory: 128 << 20,
            kernel: URL(fileURLWithPath: "/k"), initramfs: URL(fileURLWithPath: "/i"), doorbell: "/d",
            devices: [
                (EmulatedDevice(name: "disk", kind: .stick(512), bus: .ehci), URL(fileURLWithPath: "/a,b")),
                (EmulatedDevice(name: "fast", kind: .uas(512), bus: .xhci), URL(fileURLWithPath: "/c")),
                (EmulatedDevice(name: "keys", kind: .keyboard, bus: .xhci), nil),
                (EmulatedDevice(name: "box", kind: .sound, bus: .xhci), URL(fileURLWithPath: "/w")),
            ])
        let words = settings.arguments(
            fixed: try QemuOptions.load(.x86_64, root: Self.root),
            sockets: MachineSockets(console: "/c", shell: "/s", monitor: "/m"), console: URL(fileURLWithPath: "/l"))
        func value(_ option: String) -> String? { words.firstIndex(of: option).map { words[$0 + 1] } }
        #expect(words.contains("-nodefaults") && value("-nic") == "none" && words.contains("-no-reboot"))
        #expect(value("-smp") == "1" && value("-m") == "128M" && value("-accel") == "tcg,thread=multi")
        #expect(words.contains("ivshmem-doorbell,vectors=1,chardev=ivshmem"))
        #expect(words.contains("usb-storage,bus=ehci.0,drive=disk-image,id=disk,serial=disk"))
        #expect(words.contains("usb-uas,bus=xhci.0,id=fast,serial=fast"))
        #expect(words.contains("scsi-hd,bus=fast.0,drive=fast-image"))
        #expect(words.contains("usb-kbd,bus=xhci.0,id=keys,serial=keys") && words.contains("i8042=off"))
        #expect(words.contains("usb-audio,audiodev=box-sound,buffer=96000,bus=xhci.0,id=box,serial=box"))
        #expect(words.contains("wav,id=box-sound,path=/w,out.mixing-engine=off"))
        #expect(words.contains("driver=raw,node-name=disk-image,file.driver=file,file.filename=/a,,b"))
    }

    @Test func missingOptionsAreReported() {
        #expect(throws: RigError.self) { try QemuOptions.load(.x86_64, root: URL(fileURLWithPath: "/nowhere")) }
    }
}

@Suite struct GuestShellDecoderTests {
    @Test func answersArriveInPiecesAndInAnyOrder() {
        var decoder = GuestShellDecoder()
        #expect(decoder.feed(Array("RINGWAY-GUEST-READY\r\nDONE 7 0 aGVs".utf8)).isEmpty)
        let answers = decoder.feed(Array("bG8=\nnoise\nDONE 6 3 \nDONE x 0 \nDONE 8 0 ?\n".utf8))
        #expect(answers.map(\.id) == [7, 6])
        #expect(answers.map(\.output.status) == [0, 3])
        #expect(answers.map(\.output.text) == ["hello", ""])
    }
}

@Suite struct ChildProcessTests {
    private let log = URL(fileURLWithPath: "\(NSTemporaryDirectory())/child-\(UUID().uuidString)")

    @Test func statusAndOutputAreKept() throws {
        let child = try ChildProcess(URL(fileURLWithPath: "/bin/sh"), ["-c", "echo said; exit 3"], output: log)
        defer { try? FileManager.default.removeItem(at: log) }
        while child.exitStatus() == nil { sched_yield() }
        #expect(child.exitStatus() == 3)
        #expect(try String(contentsOf: log, encoding: .utf8) == "said\n")
    }

    @Test func aKilledProcessIsGone() throws {
        let child = try ChildProcess(URL(fileURLWithPath: "/bin/sleep"), ["1000"], output: log)
        defer { try? FileManager.default.removeItem(at: log) }
        #expect(child.identity.isAlive)
        child.kill()
        #expect(child.exitStatus() == 128 + SIGKILL)
        #expect(!child.identity.isAlive)
    }

    /// A pid that now belongs to somebody else must never be killed.
    @Test func anotherProcessOfThatPidIsLeftAlone() throws {
        let child = try ChildProcess(URL(fileURLWithPath: "/bin/sleep"), ["1000"], output: log)
        defer {
            child.kill()
            try? FileManager.default.removeItem(at: log)
        }
        let json = "{\"pid\":\(child.identity.pid),\"startTime\":1}"
        let other = try JSONDecoder().decode(ProcessIdentity.self, from: Data(json.utf8))
        #expect(!other.isAlive)
        other.kill()
        #expect(child.identity.isAlive)
    }
}

@Suite struct CleanupTests {
    @Test func actionsAreUndoneInReverseUnlessCancelled() {
        let cleanup = Cleanup()
        let record = Recorder()
        _ = cleanup.add { record.append("first") }
        let second = cleanup.add { record.append("second") }
        _ = cleanup.add { record.append("third") }
        cleanup.cancel(second)
        cleanup.run()
        cleanup.run()
        #expect(record.words == ["third", "first"])
    }

    private final class Recorder: @unchecked Sendable {
        private(set) var words: [String] = []
        func append(_ word: String) { words.append(word) }
    }
}

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
        #expect(value("-smp") == "1" && value("-m") == "128M")
        #expect(value("-accel") == "tcg,thread=multi" && value("-cpu") == "max,-erms,-fsrm")
        #expect(words.contains("ivshmem-doorbell,vectors=1,chardev=ivshmem"))
        #expect(words.contains("usb-storage,bus=ehci.0,drive=disk-image,id=disk,serial=disk"))
        #expect(words.contains("usb-uas,bus=xhci.0,id=fast,serial=fast"))
        #expect(words.contains("scsi-hd,bus=fast.0,drive=fast-image"))
        #expect(words.contains("usb-kbd,bus=xhci.0,id=keys,serial=keys") && words.contains("i8042=off"))
        #expect(words.contains("usb-audio,audiodev=box-sound,buffer=96000,bus=xhci.0,id=box,serial=box"))
        #expect(words.contains("wav,id=box-sound,path=/w,out.mixing-engine=off"))
        #expect(words.contains("driver=raw,node-name=disk-image,file.driver=file,file.filename=/a,,b"))
    }

    /// The peer's section can be read only.
    @Test func oneWaySections() throws {
        let folder = try RunFolder.make(name: "one-way", root: FileManager.default.temporaryDirectory)
        defer {
            try? FileManager.default.removeItem(at: folder.logs)
            try? FileManager.default.removeItem(at: folder.sockets)
        }
        let exporter = try OneWaySections(.exporter, in: folder)
        let importer = try OneWaySections(.importer, in: folder)
        #expect(exporter.own == importer.peers && exporter.peers == importer.own && exporter.own != exporter.peers)
        let words = exporter.arguments
        let size = 8 << 20
        func backend(_ id: String, _ access: String, _ file: URL) -> String {
            "memory-backend-file,id=\(id),share=on,readonly=\(access),size=\(size),mem-path=\(file.path)"
        }
        #expect(words.contains(backend("own", "off", exporter.own)))
        #expect(words.contains(backend("peers", "on", exporter.peers)))
        #expect(words.contains("ivshmem-plain,memdev=own,addr=0x10"))
        #expect(words.contains("ivshmem-plain,memdev=peers,addr=0x11"))
    }

    /// The machine `virt` has one serial port for a guest's kernel, and no keyboard of its own.
    @Test func anAarch64MachineHasTheSameParts() throws {
        let settings = MachineSettings(
            name: "exporter", architecture: .aarch64, accelerator: .tcg, memory: 128 << 20,
            kernel: URL(fileURLWithPath: "/k"), initramfs: URL(fileURLWithPath: "/i"), doorbell: "/d",
            devices: [(EmulatedDevice(name: "keys", kind: .keyboard, bus: .xhci), nil)])
        let words = settings.arguments(
            fixed: try QemuOptions.load(.aarch64, root: Self.root),
            sockets: MachineSockets(console: "/c", shell: "/s", monitor: "/m"), console: URL(fileURLWithPath: "/l"))
        func value(_ option: String) -> String? { words.firstIndex(of: option).map { words[$0 + 1] } }
        #expect(words.contains("-nodefaults") && value("-nic") == "none" && words.contains("-no-reboot"))
        #expect(value("-smp") == "1" && value("-cpu") == "cortex-a72")
        #expect(words.filter { $0 == "-serial" }.count == 1 && value("-serial") == "chardev:console")
        #expect(words.contains("pci-serial,chardev=shell"))
        #expect(words.contains("ivshmem-doorbell,vectors=1,chardev=ivshmem") && !words.contains("i8042=off"))
        let kernel = try #require(value("-append"))
        #expect(kernel.contains("console=ttyAMA0") && kernel.contains("rig.command=ttyS0"))
    }

    /// The window is memory of the machine, behind the guest's own, from a file that others map, too.
    @Test func aWindowIsAtTheEndOfTheMemory() throws {
        var settings = MachineSettings(
            name: "exporter", architecture: .aarch64, accelerator: .tcg, memory: 128 << 20,
            kernel: URL(fileURLWithPath: "/k"), initramfs: URL(fileURLWithPath: "/i"), doorbell: nil, devices: [])
        settings.window = (URL(fileURLWithPath: "/w,x"), 16 << 20, URL(fileURLWithPath: "/t"))
        let words = settings.arguments(
            fixed: try QemuOptions.load(.aarch64, root: Self.root),
            sockets: MachineSockets(console: "/c", shell: "/s", monitor: "/m"), console: URL(fileURLWithPath: "/l"))
        func values(_ option: String) -> [String] {
            zip(words, words.dropFirst()).filter { $0.0 == option }.map(\.1)
        }
        #expect(values("-m") == ["144M"] && values("-dtb") == ["/t"])
        #expect(values("-numa") == ["node,memdev=ram", "node,memdev=window"], "in this order: it decides on addresses")
        #expect(
            values("-object") == [
                "memory-backend-ram,id=ram,size=\(128 << 20)",
                "memory-backend-file,id=window,share=on,size=\(16 << 20),mem-path=/w,,x",
            ])
        #expect(!words.contains { $0.hasPrefix("ivshmem") })
    }

    @Test func theWindowsNodesAreTheLastOfTheRoot() {
        let text = "/dts-v1/;\n\n/ {\n\tchosen {\n\t};\n};\n"
        let tree = DeviceTree.adding(window: 0x4800_0000, size: 0x100_0000, to: text)
        #expect(tree.hasPrefix("/dts-v1/;\n\n/ {\n\tchosen {\n\t};\nreserved-memory {"))
        #expect(tree.hasSuffix("};\n"))
        let reg = "reg = <0x0 0x48000000 0x0 0x1000000>;"
        #expect(tree.components(separatedBy: reg).count == 3)
        #expect(tree.contains("no-map;") && tree.contains("compatible = \"ringway,window\";"))
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

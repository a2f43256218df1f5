// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Rig

@Suite struct ModuleClosureTests {
    private let closure = ModuleClosure(
        dependencies: """
            kernel/drivers/usb/storage/uas.ko: kernel/drivers/usb/storage/usb-storage.ko kernel/scsi_mod.ko
            kernel/drivers/usb/storage/usb-storage.ko: kernel/scsi_mod.ko kernel/usb/usbcore.ko
            kernel/scsi_mod.ko: kernel/scsi_common.ko
            kernel/scsi_common.ko:
            kernel/usb/usbcore.ko:
            kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2.ko.xz
            kernel/fs/jbd2.ko.xz:
            kernel/crypto/crc32c_generic.ko:
            """,
        builtin: "kernel/drivers/tty/serial/8250/8250.ko\n",
        soft: "softdep jbd2 pre: crc32c_generic crypto-of-another-kernel\nsoftdep usbcore post: ext4\n# comment\n")

    @Test func dependenciesFollowTransitively() throws {
        #expect(
            try closure.paths(of: ["scsi_mod", "uas"]).filter { !$0.contains("fs/") && !$0.contains("crypto") } == [
                "kernel/drivers/usb/storage/uas.ko", "kernel/drivers/usb/storage/usb-storage.ko",
                "kernel/scsi_common.ko", "kernel/scsi_mod.ko", "kernel/usb/usbcore.ko",
            ])
    }

    @Test func softDependenciesComeWhereTheyAreThere() throws {
        #expect(
            try closure.paths(of: ["ext4"]) == [
                "kernel/crypto/crc32c_generic.ko", "kernel/fs/ext4/ext4.ko.xz", "kernel/fs/jbd2.ko.xz",
            ])
        #expect(try closure.paths(of: ["usbcore"]).contains("kernel/fs/ext4/ext4.ko.xz"))
    }

    @Test func dashesAndUnderscoresAreOne() throws {
        #expect(try closure.paths(of: ["scsi-common"]) == closure.paths(of: ["scsi_common"]))
        #expect(ModuleClosure.name("kernel/drivers/usb/storage/usb-storage.ko.xz") == "usb_storage")
    }

    @Test func whatIsPartOfTheKernelHasNoFile() throws { #expect(try closure.paths(of: ["8250"]) == []) }

    @Test func anUnknownModuleIsNamed() {
        let error = #expect(throws: RigError.self) { try closure.paths(of: ["scsi_mod", "no_such"]) }
        #expect(error?.happened == "this kernel has no module no_such")
    }
}

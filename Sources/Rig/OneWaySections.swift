// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Two sections as files, each of which one machine may write and the other one may read: QEMU maps the peer's
/// read-only, so that a guest's store into it changes nothing.
struct OneWaySections {
    /// PCI slots of the two devices.
    static let ownSlot = "10"
    static let peerSlot = "11"
    /// Bytes of each.
    static let size = 8 << 20
    /// The doorbell's device has memory, too, in which nothing lies.
    static let doorbellSize = 1 << 20

    let own: URL
    let peers: URL

    init(_ role: GuestRole, in folder: RunFolder) throws {
        let files = try [GuestRole.exporter, .importer].map { try folder.sharedMemory("section-\($0)", Self.size) }
        (own, peers) = role == .exporter ? (files[0], files[1]) : (files[1], files[0])
    }

    var arguments: [String] {
        func device(_ id: String, _ file: URL, _ slot: String, _ access: String) -> [String] {
            let path = file.path.replacingOccurrences(of: ",", with: ",,")
            let access = "share=on,readonly=\(access)"
            return [
                "-object", "memory-backend-file,id=\(id),\(access),size=\(Self.size),mem-path=\(path)", "-device",
                "ivshmem-plain,memdev=\(id),addr=0x\(slot)",
            ]
        }
        return device("own", own, Self.ownSlot, "off") + device("peers", peers, Self.peerSlot, "on")
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What one turn does: so many requests of one kind, one behind the other.
struct BenchWork: Codable, Equatable, Sendable {
    enum Kind: String, Codable, Sendable {
        /// Of a disk, past the guest's page cache.
        case read, write
        /// GET_STATUS of the device.
        case control
        /// From a request to a keyboard to the event that it causes.
        case interrupt
        /// How far the transfers of a sound device end from their rhythm.
        case isochronous
    }

    let kind: Kind
    /// Bytes of one request.
    let size: Int
    let count: Int

    init(_ kind: Kind, _ size: Int, _ count: Int) { (self.kind, self.size, self.count) = (kind, size, count) }

    /// What is compared: bytes a time, of which more is better, or the time of a request.
    var isRate: Bool { kind == .read || kind == .write }

    /// Of a keyboard or a sound device, not of a disk.
    var isEvent: Bool { kind == .interrupt || kind == .isochronous }

    /// As a table says it, with its unit.
    var title: String {
        let amount = size >= 1 << 20 ? "\(size >> 20) MiB" : size >= 1024 ? "\(size >> 10) KiB" : "\(size) B"
        switch kind {
        case .read, .write: return "bulk \(kind.rawValue), \(amount) a request, MB/s"
        case .control: return "control request, µs (lower is better)"
        case .interrupt: return "interrupt transfer behind a request"
        case .isochronous: return "isochronous transfers, from their rhythm"
        }
    }

    /// The guest's command.
    /// - Parameters:
    ///   - node: the disk's.  - device: the USB device's.  - content: the file that is written.
    func command(node: String, device: String, content: String) -> String {
        switch kind {
        case .read: "ringway-guest-bench read \(node) \(size) \(count)"
        case .write: "ringway-guest-bench write \(node) \(size) \(count) \(content)"
        case .control: "ringway-guest-bench control \(device) \(count)"
        case .interrupt, .isochronous: "ringway-guest-bench \(kind.rawValue) \(device) \(count)"
        }
    }
}

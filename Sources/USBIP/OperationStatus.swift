// SPDX-License-Identifier: Apache-2.0

/// How an operation went: ST_* of tools/usb/usbip/libsrc/usbip_common.h.
public enum OperationStatus: UInt32, Equatable, Sendable {
    /// ST_OK.
    case ok = 0
    /// ST_NA: what `usbipd` answers whenever it does not export the device, whatever the reason.
    case notAvailable = 1
    /// ST_DEV_BUSY.
    case busy = 2
    /// ST_DEV_ERR.
    case deviceError = 3
    /// ST_NODEV.
    case noDevice = 4
    /// ST_ERROR.
    case error = 5

    /// The status in plain words.
    public var sentence: String {
        switch self {
        case .ok: "the request was granted"
        case .notAvailable: "the device is not available: it is not exported, or it could not be handed over"
        case .busy: "the device is in use by another importer"
        case .deviceError: "the device is in an error state on the exporter's side"
        case .noDevice: "there is no such device"
        case .error: "the exporter met an unexpected error"
        }
    }

    /// The words for a status number as a peer sent it, which need not be a known one.
    @inline(never)
    public static func sentence(of untrustedNumber: UInt32) -> String {
        if let status = OperationStatus(rawValue: untrustedNumber) { return status.sentence }
        return fill("the exporter answered with the unknown status %", Int(untrustedNumber))
    }
}

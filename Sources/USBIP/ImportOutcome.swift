// SPDX-License-Identifier: Apache-2.0

/// How an OP_REQ_IMPORT ended.
public enum ImportOutcome: Equatable, Sendable {
    /// The exporter hands the device over; from here on the connection carries URBs.
    case success(DeviceRecord)
    /// The exporter refuses. The number need not be a known one: `OperationStatus.sentence(of:)` has words for any.
    case refused(status: UInt32)
}

// SPDX-License-Identifier: Apache-2.0

/// What an importer asks for.
public enum OperationRequest: Equatable, Sendable {
    /// OP_REQ_DEVLIST: the list of what is exported.
    case deviceList
    /// OP_REQ_IMPORT: one device, by its bus id on the exporter's side.
    case importDevice(BusID)
}

// SPDX-License-Identifier: Apache-2.0

/// The parts of fixed size that the protocol is made of.
public enum USBIPPart: Equatable, Sendable {
    case operationHeader
    /// The number of devices in OP_REP_DEVLIST.
    case deviceCount
    case busID
    case deviceRecord
    case interfaceRecord
    case pduHeader
    case isoPacketDescriptor

    /// Bytes on the wire.
    public var size: Int {
        switch self {
        case .operationHeader: OperationHeader.size
        case .deviceCount: 4
        case .busID: BusID.size
        case .deviceRecord: DeviceRecord.size
        case .interfaceRecord: InterfaceRecord.size
        case .pduHeader: PDUHeader.size
        case .isoPacketDescriptor: IsoPacketDescriptor.size
        }
    }

    /// The part's name in words.
    public var name: String {
        switch self {
        case .operationHeader: "an operation header"
        case .deviceCount: "a number of devices"
        case .busID: "a bus id"
        case .deviceRecord: "a device record"
        case .interfaceRecord: "an interface record"
        case .pduHeader: "a PDU's header"
        case .isoPacketDescriptor: "an isochronous packet descriptor"
        }
    }
}

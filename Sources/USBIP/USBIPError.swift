// SPDX-License-Identifier: Apache-2.0

/// What a peer sent that the protocol, or this module's bounds, do not allow.
public enum USBIPError: Error, Equatable, Sendable {
    /// A structure was given with another number of bytes than it has.
    case wrongSize(USBIPPart, got: Int)
    /// The stream ended inside a part, or before the part that had to follow; `got` of its bytes had come.
    case ended(USBIPPart, got: Int)
    /// Another protocol version than `USBIPProtocol.version`.
    case version(UInt16)
    /// An operation that this protocol version does not have, or that nothing implements.
    case unknownCode(UInt16)
    /// A known operation, but not the one that had to come; `nil` means one of the two requests.
    case unexpectedCode(OperationCode, expected: OperationCode?)
    /// A request whose status is not 0.
    case requestStatus(UInt32)
    /// The exporter refuses to list its devices.
    case listRefused(status: UInt32)
    /// The field holds no bus id of the form `B-P(.P)*`.
    case badBusID(field: [UInt8])
    /// Another device than the one that was asked for.
    case otherDevice(BusID, expected: BusID)
    /// Numbers that do not fit into a devid.
    case deviceNumbers(busnum: UInt32, devnum: UInt32)
    case unknownSpeed(UInt32)
    /// More than `USBIPProtocol.deviceLimit`.
    case tooManyDevices(UInt32)
    /// More than `USBIPProtocol.interfaceLimit`.
    case tooManyInterfaces(UInt8)
    /// A command number that no PDU has.
    case unknownCommand(UInt32)
    /// A known PDU, but one of the other stream.
    case unexpectedCommand(PDUCommand)
    /// Neither USBIP_DIR_OUT nor USBIP_DIR_IN.
    case badDirection(UInt32)
    /// Above `PDUHeader.endpointLimit`.
    case badEndpoint(UInt32)
    /// The bytes of a transfer are negative or above `limit`.
    case badLength(Int32, limit: Int)
    /// The packets of an isochronous transfer are negative, or above or not `limit`.
    case badPacketCount(Int32, limit: Int)
    /// The stream ended inside a PDU's body, of which so many bytes are missing.
    case endedInBody(missing: Int)
    /// A fault of the caller: a body's length was told when none was asked for, was none, or was never told.
    case outOfTurn

    /// What was expected and what came; printable ASCII, whatever the peer sent.
    public var sentence: String {
        switch self {
        case .wrongSize(let part, let got):
            fill("% has % bytes, but there are %", part.name, decimal(part.size), decimal(got))
        case .ended(let part, let got):
            fill("the stream ended after % of the % bytes of %", decimal(got), decimal(part.size), part.name)
        case .version(let version):
            fill("the peer must speak USB/IP version 0x0111, but it speaks %", hexadecimal(version))
        case .unknownCode(let code):
            fill("an import or a device list was expected, but the code is %", hexadecimal(code))
        case .unexpectedCode(let code, let expected):
            fill("% was expected, but % came", expected?.name ?? "a request", code.name)
        case .requestStatus(let status): fill("the status of a request must be 0, but it is %", Int(status))
        case .listRefused(let status):
            fill("a list of devices was expected, but %", OperationStatus.sentence(of: status))
        case .badBusID(let field):
            fill("a bus id such as 3-2.1 was expected, but '%' came", text(untilNUL: field))
        case .otherDevice(let busID, let expected):
            fill("device % was asked for, but % came", expected.text, busID.text)
        case .deviceNumbers(let busnum, let devnum):
            fill("bus and device number must be below 65536, but they are % and %", Int(busnum), Int(devnum))
        case .unknownSpeed(let number): fill("a speed from 0 to 6 was expected, but % came", Int(number))
        case .tooManyDevices(let count):
            fill("at most % devices may come, but % do", USBIPProtocol.deviceLimit, Int(count))
        case .tooManyInterfaces(let count):
            fill("at most % interfaces may come, but % do", USBIPProtocol.interfaceLimit, Int(count))
        default: pduSentence
        }
    }

    /// The same for the URB phase.
    private var pduSentence: String {
        switch self {
        case .unknownCommand(let number): fill("a command from 1 to 4 was expected, but % came", Int(number))
        case .unexpectedCommand(let command):
            fill("a PDU of the other direction was expected, but % came", command.name)
        case .badDirection(let number): fill("a direction must be 0 (out) or 1 (in), but % came", Int(number))
        case .badEndpoint(let number):
            fill("an endpoint is at most %, but % came", Int(PDUHeader.endpointLimit), Int(number))
        case .badLength(let length, let limit):
            fill("a transfer of 0 to % bytes was expected, but % came", limit, Int(length))
        case .badPacketCount(let count, let limit):
            fill("at most % isochronous packets were expected, but % came", limit, Int(count))
        case .endedInBody(let missing):
            fill("the stream ended inside a PDU, and % bytes of its body are missing", missing)
        default: "the length of a PDU's body must be told once, behind its header, and be possible"
        }
    }
}

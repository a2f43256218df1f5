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
            say(part.name, " has ", decimal(part.size), " bytes, but there are ", decimal(got))
        case .ended(let part, let got):
            say("the stream ended after ", decimal(got), " of the ", decimal(part.size), " bytes of ", part.name)
        case .version(let version):
            say("the peer must speak USB/IP version 0x0111, but it speaks ", hexadecimal(UInt32(version), digits: 4))
        case .unknownCode(let code):
            say("an import or a device list was expected, but the code is ", hexadecimal(UInt32(code), digits: 4))
        case .unexpectedCode(let code, let expected):
            say(expected?.name ?? "a request", " was expected, but ", code.name, " came")
        case .requestStatus(let status):
            say("the status of a request must be 0, but it is ", decimal(status))
        case .listRefused(let status):
            say("a list of devices was expected, but ", OperationStatus.sentence(of: status))
        case .badBusID(let field):
            say("a bus id such as 3-2.1 was expected, but '", text(untilNUL: field), "' came")
        case .otherDevice(let busID, let expected):
            say("device ", expected.text, " was asked for, but ", busID.text, " came")
        case .deviceNumbers(let busnum, let devnum):
            say("bus and device number must be below 65536, but they are ", decimal(busnum), " and ", decimal(devnum))
        case .unknownSpeed(let number):
            say("a speed from 0 to 6 was expected, but ", decimal(number), " came")
        case .tooManyDevices(let count):
            say("at most ", decimal(USBIPProtocol.deviceLimit), " devices may come, but ", decimal(count), " do")
        case .tooManyInterfaces(let count):
            say("at most ", decimal(USBIPProtocol.interfaceLimit), " interfaces may come, but ", decimal(count), " do")
        default: pduSentence
        }
    }

    /// The same for the URB phase.
    private var pduSentence: String {
        switch self {
        case .unknownCommand(let number):
            say("a command from 1 to 4 was expected, but ", decimal(number), " came")
        case .unexpectedCommand(let command):
            say("a PDU of the other direction was expected, but ", command.name, " came")
        case .badDirection(let number):
            say("a direction must be 0 (out) or 1 (in), but ", decimal(number), " came")
        case .badEndpoint(let number):
            say("an endpoint is at most ", decimal(PDUHeader.endpointLimit), ", but ", decimal(number), " came")
        case .badLength(let length, let limit):
            say("a transfer of 0 to ", decimal(limit), " bytes was expected, but ", decimal(Int(length)), " came")
        case .badPacketCount(let count, let limit):
            say("at most ", decimal(limit), " isochronous packets were expected, but ", decimal(Int(count)), " came")
        case .endedInBody(let missing):
            say("the stream ended inside a PDU, and ", decimal(missing), " bytes of its body are missing")
        default: "the length of a PDU's body must be told once, behind its header, and be possible"
        }
    }
}

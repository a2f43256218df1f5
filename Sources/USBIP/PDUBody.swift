// SPDX-License-Identifier: Apache-2.0

/// What stands behind the basic header, by its command: the union of `struct usbip_header`.
public enum PDUBody: Equatable, Sendable {
    case cmdSubmit(CmdSubmit)
    case cmdUnlink(CmdUnlink)
    case retSubmit(RetSubmit)
    case retUnlink(RetUnlink)

    public var command: PDUCommand {
        switch self {
        case .cmdSubmit: .cmdSubmit
        case .cmdUnlink: .cmdUnlink
        case .retSubmit: .retSubmit
        case .retUnlink: .retUnlink
        }
    }

    init(_ command: PDUCommand, _ reader: inout FieldReader) {
        switch command {
        case .cmdSubmit: self = .cmdSubmit(CmdSubmit(&reader))
        case .cmdUnlink: self = .cmdUnlink(CmdUnlink(seqnum: reader.number32()))
        case .retSubmit: self = .retSubmit(RetSubmit(&reader))
        case .retUnlink: self = .retUnlink(RetUnlink(status: reader.signed32()))
        }
    }

    func put(_ writer: inout FieldWriter) {
        switch self {
        case .cmdSubmit(let submit): submit.put(&writer)
        case .cmdUnlink(let unlink): writer.put(unlink.seqnum)
        case .retSubmit(let submit): submit.put(&writer)
        case .retUnlink(let unlink): writer.put(unlink.status)
        }
    }
}

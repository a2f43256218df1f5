// SPDX-License-Identifier: Apache-2.0
import RingTransport
import USBIP

/// `ringway list`: the devices of this guest, or those that the peer offers.
struct ListCommand {
    let agent: AgentClient
    let remote: Bool
    let parsable: Bool
    let json: Bool
    var tree = SysfsTree()

    @inline(never)
    static func parse(_ arguments: [String]) throws(Diagnostic) -> ListCommand {
        let arguments = try CommandArguments.parse(
            arguments, command: "list", flags: ["-l|--local", "-r|--remote", "-p|--parsable", "--json"], words: 1)
        let remote = arguments.has("--remote")
        // `usbip list -r HOST`: there is one peer, whatever it is called.
        if let word = arguments.words.first, !remote { throw unexpected(word, "list") }
        return ListCommand(
            agent: arguments.agent, remote: remote, parsable: arguments.has("--parsable"), json: arguments.has("--json")
        )
    }

    @inline(never)
    func execute() throws(Diagnostic) -> ExitCode { Output.result(try text()) }

    func text() throws(Diagnostic) -> String {
        if remote {
            let devices = try ImportDialogue.deviceList(agent)
            return json ? jsonText(devices) : remoteText(devices)
        }
        let devices = LocalDevice.own(tree)
        return json ? jsonText(devices) : parsable ? parsableText(devices) : localText(devices)
    }

    @inline(never)
    private func localText(_ devices: [LocalDevice]) -> String {
        var text = ""
        for device in devices where !device.isHub {
            text += compose(" - busid \(device.busID.text) (\(device.record.identity))\n   \(device.title)")
            if let state = state(device) { text += compose(", \(state)") }
            text += "\n\n"
        }
        return text.isEmpty ? "no USB devices\n" : text
    }

    private func state(_ device: LocalDevice) -> String? {
        guard device.isExported else { return nil }
        switch ExporterDriver(tree: tree).state(device.busID) {
        case .available?: return "exported"
        case .used?: return "exported, in use by the peer"
        case .inError?: return "exported, in error"
        case nil: return nil
        }
    }

    private func parsableText(_ devices: [LocalDevice]) -> String {
        var text = ""
        for device in devices where !device.isHub {
            text += compose("busid=\(device.busID.text)#usbid=\(device.record.identity)#\n")
        }
        return text
    }

    @inline(never)
    private func remoteText(_ devices: [ListedDevice]) -> String {
        if devices.isEmpty { return "the peer offers no device\n" }
        var text = "Exportable USB devices\n======================\n - the peer\n"
        for device in devices {
            let record = device.record
            let indent = "           : "
            text += compose("\(Self.padded(record.busID.text, to: 11)): \(record.speed.name) (\(record.identity))\n")
            text += compose("\(indent)\(record.path)\n")
            text += compose(
                "\(indent)\(USBClass.title(record.deviceClass, record.deviceSubClass, record.deviceProtocol))\n")
            for (number, interface) in device.interfaces.enumerated() {
                let title = USBClass.title(
                    interface.interfaceClass, interface.interfaceSubClass, interface.interfaceProtocol)
                text += compose("\(indent)\(Self.padded(compose("\(number)"), to: 2)) - \(title)\n")
            }
            text += "\n"
        }
        return text
    }

    private static func padded(_ text: String, to width: Int) -> String {
        String(bytes: [UInt8](repeating: 0x20, count: max(0, width - text.byteCount))[...]) + text
    }

    @inline(never)
    private func jsonText(_ devices: [LocalDevice]) -> String {
        let writer = JSONWriter()
        writer.beginObject()
        writer.beginArray("devices")
        for device in devices {
            writer.beginObject()
            writer.device(device.record)
            writer.field("manufacturer", device.manufacturer)
            writer.field("name", device.product)
            writer.field("serial", device.serial)
            writer.field("driver", device.driver ?? "")
            writer.field("hub", device.isHub)
            writer.field("exported", device.isExported)
            writer.field("in-use", ExporterDriver(tree: tree).state(device.busID) == .used)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text + "\n"
    }

    @inline(never)
    private func jsonText(_ devices: [ListedDevice]) -> String {
        let writer = JSONWriter()
        writer.beginObject()
        writer.beginArray("devices")
        for device in devices {
            writer.beginObject()
            writer.device(device.record)
            writer.field("path", device.record.path)
            writer.beginArray("interfaces")
            for interface in device.interfaces {
                writer.beginObject()
                writer.field("class", UInt64(interface.interfaceClass))
                writer.field("subclass", UInt64(interface.interfaceSubClass))
                writer.field("protocol", UInt64(interface.interfaceProtocol))
                writer.endObject()
            }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text + "\n"
    }
}

extension JSONWriter {
    /// What is said of any device.
    func device(_ record: DeviceRecord) {
        field("busid", record.busID.text)
        field("vendor", fourDigits(record.vendor))
        field("product", fourDigits(record.product))
        field("speed", record.speed.megabits)
        field("class", UInt64(record.deviceClass))
    }
}

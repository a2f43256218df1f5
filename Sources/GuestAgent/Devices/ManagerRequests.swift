// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// A program that has not said yet all that it wants.
final class ManagerClient {
    let socket: Int32
    var words: [UInt8] = []

    init(socket: Int32) { self.socket = socket }
}

/// What programs ask of the device manager, on `devices.sock`: one line of words; the answer is an exit code in a
/// line of its own, then a text.
///
///     export BUSID | match RULE | unexport RULE | attach RULE | forget RULE | rules
extension DeviceManager {
    private static let maximumLine = 512

    func acceptClient() {
        let socket = LocalSocket.accept(requests)
        guard socket >= 0 else { return }
        // The data path is root, too, without its powers; should the peer have taken it over, it gets none this way.
        var process: Int32 = 0
        var user: UInt32 = 0
        var group: UInt32 = 0
        guard cs_peer_credentials(socket, &process, &user, &group) == 0, process != dataPath else {
            close(socket)
            return
        }
        // The oldest makes room: whoever connects and says nothing keeps nobody else out.
        if clients.count >= Self.maximumClients { close(clients.removeFirst().socket) }
        clients.append(ManagerClient(socket: socket))
    }

    func hearClient(_ socket: Int32) {
        guard let index = clients.firstIndex(where: { $0.socket == socket }) else { return }
        var buffer = [UInt8](repeating: 0, count: Self.maximumLine)
        let count = buffer.withUnsafeMutableBufferPointer { recv(socket, $0.baseAddress, $0.count, cs_msg_dontwait()) }
        if count < 0, cs_errno() == EAGAIN || cs_errno() == EINTR { return }
        let client = clients[index]
        client.words += buffer[0..<max(0, count)]
        let words = client.words
        let isWhole = words.last.map { $0 == UInt8(ascii: "\n") } ?? false
        if count > 0, !isWhole, words.count < Self.maximumLine { return }
        clients.remove(at: index)
        guard isWhole, execute(String(bytes: words.dropLast()), socket) else {
            close(socket)
            return
        }
    }

    /// - Returns: false when nobody keeps the socket.
    private func execute(_ line: String, _ client: Int32) -> Bool {
        let words = line.words
        if words.count == 1, words[0] == "rules" {
            Self.answer(client, .success, book.text)
            return false
        }
        guard words.count == 2, let rule = DeviceRule(words[1]) else {
            Self.answer(client, .usage, compose("`\(line)` is no request; see `ringway help`"))
            return false
        }
        switch words[0] {
        case "export": return book.isFull ? refuseMore(client) : startExport(rule, client)
        case "match":
            guard keep(rule, .export, client) else { return false }
            return startExport(rule, client, isStanding: true)
        case "unexport": return startUnexport(rule, client)
        // A serial number does not cross the wire: such a rule would wait for ever.
        case "attach" where !rule.namesSerial:
            guard keep(rule, .attach, client) else { return false }
            importer.look()
            Self.answer(client, .success, "")
        case "forget":
            let known = book.remove(rule, .attach)
            Self.answer(client, known ? .success : .noSuch, known ? "" : compose("there is no rule \(rule.text)"))
        default: Self.answer(client, .usage, compose("`\(line)` is no request; see `ringway help`"))
        }
        return false
    }

    private func keep(_ rule: DeviceRule, _ kind: RuleBook.Kind, _ client: Int32) -> Bool {
        book.add(rule, kind) || refuseMore(client)
    }

    private func refuseMore(_ client: Int32) -> Bool {
        Self.answer(client, .unavailable, compose("\(RuleBook.limit) rules stand already; withdraw one first"))
        return false
    }

    private func startJob(_ client: Int32, _ body: () -> Int32) -> Bool {
        if start(.answer(client: client), body) { return true }
        Self.answer(client, .unavailable, "the agent is busy with other devices; try again")
        return false
    }

    private func startExport(_ rule: DeviceRule, _ client: Int32, isStanding: Bool = false) -> Bool {
        exporter.tend(directory: settings.runtimeDirectory, wanted: true)
        return startJob(client) {
            var text = ""
            do throws(Diagnostic) {
                var found = false
                for busID in LocalDevice.busIDs(self.settings.tree) {
                    guard let device = LocalDevice.read(busID, self.settings.tree), rule.matches(device),
                        !(isStanding && device.isImported)
                    else { continue }
                    found = true
                    try self.exportDriver.bind(busID)
                    if !isStanding { self.report(.wanted(rule: busID.text)) }
                    self.report(.exported(busID, rule: rule.text))
                    text += compose("\(busID.text): exported: \(device.title)\n")
                }
                guard found || isStanding else {
                    throw Diagnostic(
                        .noSuch,
                        "exporting \(rule.text): there is no such device; `ringway list` shows all, and "
                            + "`ringway export --match` waits for one")
                }
                if !found { text = compose("\(rule.text): no such device yet; it is exported when it is plugged in\n") }
                Self.answer(client, .success, text)
            } catch {
                Self.answer(client, error.exitCode, error.message)
            }
            return 0
        }
    }

    private func startUnexport(_ rule: DeviceRule, _ client: Int32) -> Bool {
        let devices = exporter.devices(of: rule)
        var wasStanding = book.remove(rule, .export)
        // Closing the stream is how a device in use is let go; the kernel then gives it up.
        for busID in devices {
            if let device = DeviceRule(busID.text), book.remove(device, .device) { wasStanding = true }
            exporter.closeStreams(of: busID)
            exporter.forget(busID)
        }
        return startJob(client) {
            var text = ""
            do throws(Diagnostic) {
                for busID in devices {
                    Self.awaitRelease(self.exportDriver, busID, milliseconds: 10_000)
                    // A rule may stand without its device.
                    if wasStanding, LocalDevice.read(busID, self.settings.tree).map({ !$0.isExported }) ?? true {
                        continue
                    }
                    try self.exportDriver.unbind(busID)
                    text += compose("\(busID.text): no longer exported\n")
                }
                if devices.isEmpty, !wasStanding {
                    throw Diagnostic(
                        .noSuch, "unexporting \(rule.text): there is no such rule; `ringway list` shows all")
                }
                Self.answer(client, .success, text)
            } catch {
                Self.answer(client, error.exitCode, error.message)
            }
            return 0
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// What the device manager does for devices that this guest owns.
extension DeviceManager {
    var exportDriver: ExporterDriver { ExporterDriver(tree: settings.tree, policy: settings.policy) }

    func hearKernel() {
        while let kernel {
            switch kernel.next() {
            case .nothing: return
            case .other: break
            case .overrun: settleAll()
            case .event(let event) where event.isImported:
                // A device that was attached is gone: its rule may want it back.
                if event.action == .removed { importer.sweepAt = 0 }
            case .event(let event):
                if event.action == .removed { book.removeDevice(event.busID) }
                settle(event.busID)
            }
        }
    }

    /// Looks at every device. Only names are read here, which takes no device's lock.
    func settleAll() {
        // A device that nobody holds any more was unplugged meanwhile, whatever has its place now.
        for rule in book.devices where !FileSystem.exists(settings.tree.exporterDriver + "/" + rule.text) {
            _ = book.remove(rule, .device)
        }
        guard !book.exports.isEmpty else { return }
        for busID in LocalDevice.busIDs(settings.tree) { settle(busID) }
    }

    func settle(_ busID: BusID) {
        let isOurs = exporter.exported.contains { $0.busID == busID }
        guard isOurs || !book.exports.isEmpty, !unsettled.contains(where: { $0 == busID }) else { return }
        unsettled.append(busID)
    }

    /// - Returns: false when it has to wait for another child.
    func startSettling(_ busID: BusID) -> Bool {
        // One at a time for each device: what is done depends on what is there.
        if jobs.contains(where: { $0.task == .settle(busID) }) { return false }
        let isThere = FileSystem.exists(compose("\(settings.tree.devices)/\(busID.text)"))
        let wasOurs = exporter.exported.contains { $0.busID == busID }
        if !isThere { exporter.forget(busID) }
        return start(.settle(busID)) { self.makeSettled(busID, wasOurs: wasOurs) }
    }

    /// In a child: exports the device if a rule wants it, and forgets one that is gone.
    private func makeSettled(_ busID: BusID, wasOurs: Bool) -> Int32 {
        guard let device = LocalDevice.read(busID, settings.tree) else {
            // Otherwise whatever is plugged in there next would be exported, too.
            if wasOurs { exportDriver.forget(busID) }
            return 0
        }
        guard !device.isImported, let rule = book.exports.first(where: { $0.matches(device) }) else { return 0 }
        do throws(Diagnostic) {
            try exportDriver.bind(busID)
            report(.exported(busID, rule: rule.text))
            return 0
        } catch {
            Log.error("by the rule \(rule.text): \(error.message)")
            return error.exitCode.rawValue
        }
    }

    func acceptImporter() {
        let socket = cs_accept(exporter.service)
        guard socket >= 0 else { return }
        exporter.streams.append(ExportService.Stream(socket: socket))
        let driver = exportDriver
        let started = start(.serve(stream: socket)) {
            do throws(Diagnostic) {
                if let busID = try ExportDialogue(driver: driver, socket: socket).run() {
                    self.report(.serving(stream: socket, busID))
                }
                return 0
            } catch {
                Log.error("\(error.message)")
                return error.exitCode.rawValue
            }
        }
        // Closed unanswered: the importer sees the end of the stream.
        if !started { exporter.dropUnused(socket) }
    }

    /// The connection is over, whoever ended it; the kernel resets the device and then lets it go.
    func streamEnded(_ socket: Int32) {
        guard let busID = exporter.drop(socket) else { return }
        Log.info("device \(busID.text) is free again")
        let driver = exportDriver
        _ = start(.awaitRelease(busID)) {
            Self.awaitRelease(driver, busID)
            return 0
        }
    }

    /// In a child: until the device is no longer in use, or gone.
    static func awaitRelease(_ driver: ExporterDriver, _ busID: BusID, milliseconds: UInt64 = 20_000) {
        let deadline = Clock.microseconds() &+ milliseconds * 1000
        while driver.state(busID) == .used, Clock.microseconds() < deadline { _ = poll(nil, 0, 20) }
    }
}

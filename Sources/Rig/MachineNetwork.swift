// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A virtio network card whose cable ends in the other machine: what TCP is measured on. No other machine has one.
struct MachineNetwork: Equatable, Sendable {
    /// UDP ports of this machine's loopback, one for each end.
    struct Ports: Equatable, Sendable {
        let exporter: UInt16
        let importer: UInt16
    }

    private let role: GuestRole
    private let ports: Ports

    init(_ role: GuestRole, _ ports: Ports) { (self.role, self.ports) = (role, ports) }

    /// The address of a guest in this network.
    static func address(of role: GuestRole) -> String { role == .exporter ? "10.77.0.1" : "10.77.0.2" }

    /// QEMU's options. Not `-netdev socket`: there, frames wait for delayed acknowledgements of the host's TCP. And not
    /// AF_UNIX datagrams: such a socket's queue has room for ten, which makes TCP in the guests a third as fast.
    var arguments: [String] {
        let isExporter = role == .exporter
        let (own, peer) = isExporter ? (ports.exporter, ports.importer) : (ports.importer, ports.exporter)
        func end(_ name: String, _ port: UInt16) -> String {
            "\(name).type=inet,\(name).host=127.0.0.1,\(name).port=\(port)"
        }
        return [
            "-netdev", "dgram,id=lan,\(end("local", own)),\(end("remote", peer))",
            "-device", "virtio-net-pci,netdev=lan,mac=52:54:00:77:00:0\(isExporter ? 1 : 2),romfile=",
        ]
    }
}

extension MachineNetwork.Ports {
    /// Two that nobody had a moment ago.
    static func free() throws -> Self {
        let sockets = try [socket(), socket()]
        defer { sockets.forEach { close($0.descriptor) } }
        return Self(exporter: sockets[0].port, importer: sockets[1].port)
    }

    private static func socket() throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = Foundation.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else {
            let why = String(cString: strerror(errno))
            if descriptor >= 0 { close(descriptor) }
            throw RigError(
                tried: "get a UDP port of 127.0.0.1", happened: why, remedy: "check this machine's loopback")
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }
}

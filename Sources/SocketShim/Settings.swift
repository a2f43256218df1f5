// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// What `ringway run` passes on in the environment: the runtime directory, the mapped ports, and how
/// long a connection may take. The one copy is C's `shim_settings`.
enum Settings {
    /// Where the agent's sockets are when nothing else is said.
    static var defaultDirectory: StaticString { "/run/ringway" }

    /// The agent's own limit is 10 s by default; it should be the one to say what went wrong.
    static var defaultTimeout: Int64 { 12_000 }

    /// The service port that a program's TCP port stands for, if it is mapped.
    static func service(ofPort port: UInt16) -> UInt16? {
        for mapping in mappings where mapping.port == port { return mapping.service }
        return nil
    }

    /// The TCP port that programs use for a service; the service's own number if none is mapped to it.
    static func port(ofService service: UInt16) -> UInt16 {
        for mapping in mappings where mapping.service == service { return mapping.port }
        return service
    }

    /// Whether every decision is to be told on standard error.
    static var isVerbose: Bool { shim_settings().pointee.is_verbose != 0 }

    /// Whether connections are to use their ring themselves.
    static var isDirect: Bool { shim_settings().pointee.is_direct != 0 }

    /// How long a call waits for the peer in direct mode before it asks the kernel: less than two programs that wait
    /// for each other in the kernel lose by it.
    static var defaultSpin: UInt32 { 50 }

    static var timeoutMilliseconds: Int64 { shim_settings().pointee.timeout_milliseconds }

    /// Appends a path in the runtime directory.
    static func appendPath(_ name: StaticString, to text: inout Text) {
        text.append(cString: shim_directory(shim_settings()))
        text.append(name)
    }

    private static var mappings: UnsafeBufferPointer<shim_mapping> {
        let settings = shim_settings()
        return UnsafeBufferPointer(start: shim_mappings(settings), count: Int(settings.pointee.mapping_count))
    }
}

@c(shim_read_settings)
func readSettings(
    _ settings: UnsafeMutablePointer<shim_settings>, _ directory: UnsafePointer<CChar>?,
    _ ports: UnsafePointer<CChar>?, _ timeout: UnsafePointer<CChar>?, _ verbose: UnsafePointer<CChar>?,
    _ direct: UnsafePointer<CChar>?, _ spin: UnsafePointer<CChar>?
) {
    settings.pointee.is_verbose = verbose == nil ? 0 : 1
    settings.pointee.is_direct = direct == nil ? 0 : 1
    // With one processor whoever is waited for does not run meanwhile.
    settings.pointee.spin_microseconds = direct != nil && raw_processors() > 1 ? Settings.defaultSpin : 0
    if let spin {
        var scanner = Scanner(spin)
        if let value = scanner.decimal(limit: 10_000), scanner.isAtEnd {
            settings.pointee.spin_microseconds = UInt32(value)
        } else {
            complain("RINGWAY_DIRECT_SPIN_US must be 0...10000 and is ignored")
        }
    }
    readDirectory(directory, into: shim_directory(settings))
    settings.pointee.timeout_milliseconds = Settings.defaultTimeout
    if let timeout {
        var scanner = Scanner(timeout)
        if let value = scanner.decimal(limit: 3_600_000), value > 0, scanner.isAtEnd {
            settings.pointee.timeout_milliseconds = Int64(value)
        } else {
            complain("RINGWAY_CONNECT_TIMEOUT_MS must be 1...3600000 and is ignored")
        }
    }
    readPorts(ports, into: settings)
}

/// Copies the runtime directory's path; one that leaves no room for `/port/65535.6` in a socket's
/// address is refused.
private func readDirectory(_ directory: UnsafePointer<CChar>?, into room: UnsafeMutablePointer<CChar>) {
    var text = Text()
    if let directory {
        text.append(cString: directory)
        if text.count > 0, text.count < Int(SHIM_PATH_ROOM) {
            copy(text, to: room)
            return
        }
        complain("RINGWAY_RUNTIME_DIR is empty or longer than 79 bytes; using /run/ringway")
        text = Text()
    }
    text.append(Settings.defaultDirectory)
    copy(text, to: room)
}

private func copy(_ text: borrowing Text, to room: UnsafeMutablePointer<CChar>) {
    let count = text.count
    text.withCString { bytes in
        for index in 0...count { room[index] = bytes[index] }
    }
}

/// Reads `PORT[:SERVICE],…`; without the variable, 3240 (USB/IP) is mapped to itself.
private func readPorts(_ ports: UnsafePointer<CChar>?, into settings: UnsafeMutablePointer<shim_settings>) {
    settings.pointee.mapping_count = 0
    guard let ports else {
        add(shim_mapping(port: 3240, service: 3240), to: settings)
        return
    }
    var scanner = Scanner(ports)
    while !scanner.isAtEnd {
        guard let port = scanner.decimal(limit: 65_535), port > 0 else { break }
        var service = port
        if scanner.skip(UInt8(ascii: ":")) {
            guard let number = scanner.decimal(limit: 65_535), number > 0 else { break }
            service = number
        }
        guard add(shim_mapping(port: UInt16(port), service: UInt16(service)), to: settings) else { break }
        guard scanner.skip(UInt8(ascii: ",")) || scanner.isAtEnd else { break }
    }
    if !scanner.isAtEnd { complain("RINGWAY_PORTS must be PORT[:SERVICE],… (at most 32); the rest is ignored") }
}

@discardableResult
private func add(_ mapping: shim_mapping, to settings: UnsafeMutablePointer<shim_settings>) -> Bool {
    let count = settings.pointee.mapping_count
    guard count < SHIM_MAPPINGS else { return false }
    shim_mappings(settings)[Int(count)] = mapping
    settings.pointee.mapping_count = count + 1
    return true
}

private func complain(_ reason: StaticString) {
    var message = Text()
    message.append("ringway: ")
    message.append(reason)
    message.writeAsLine()
}

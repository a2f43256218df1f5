// SPDX-License-Identifier: Apache-2.0

/// Where a section lies: `BACKEND:PLACE[,map=N][,bar=N][,wc][,offset=N][,size=N]`.
public struct SectionSpecification: Equatable, Sendable {
    public enum Backend: Equatable, Sendable {
        /// A file that both processes map (one host, tests).
        case file(path: String)
        /// A UIO device by its driver's name, and which of its maps.
        case uio(name: String, map: Int)
        /// A PCI device by address (`0000:00:04.0`) or by vendor and device (`1af4:1110`), and which BAR.
        case pci(device: String, bar: Int, writeCombining: Bool)
        /// Physical memory.
        case physical(address: UInt64)
    }

    public let backend: Backend
    /// Bytes from the start of the file, map, BAR or address.
    public let offset: Int
    /// Bytes; nil: to the end.
    public let size: Int?
    /// As it was written.
    public let text: String

    /// - Throws: kind `badSpecification`.
    public init(parsing text: String) throws(TransportError) {
        func bad(_ why: String) -> TransportError {
            TransportError(.badSpecification, "`\(text)` is no section: \(why)")
        }
        let parts = text.parts(between: ",")
        guard let (kind, place) = parts[0].cut(at: ":") else {
            throw bad("write file:PATH, uio:NAME, pci:ADDRESS or devmem:0xADDRESS")
        }
        var options = Options()
        for part in parts[1...] {
            if let why = options.take(part, backend: kind) { throw bad(why) }
        }
        guard !place.isEmpty else { throw bad("nothing stands behind the colon") }
        switch kind {
        case "file": backend = .file(path: place)
        case "uio": backend = .uio(name: place, map: options.map)
        case "pci": backend = .pci(device: place, bar: options.bar, writeCombining: options.writeCombining)
        case "devmem":
            guard let hexadecimal = place.rest(after: "0x"), let address = unsigned(hexadecimal, radix: 16),
                address % 4096 == 0
            else { throw bad("the address must be hexadecimal and a multiple of 4096") }
            guard options.size != nil else { throw bad("devmem needs size=") }
            backend = .physical(address: address)
        default: throw bad(compose("there is no backend `\(kind)`; there are file, uio, pci and devmem"))
        }
        offset = options.offset
        size = options.size
        self.text = text
    }

    /// Whether the two name some of the same bytes, as far as their texts tell.
    public func overlaps(_ other: SectionSpecification) -> Bool {
        let (first, second) = offset <= other.offset ? (self, other) : (other, self)
        switch (first.backend, second.backend) {
        case (.physical(let address), .physical(let otherAddress)):
            // Each lies at or above the other in a circle of addresses; the distances tell.
            let start = address &+ UInt64(first.offset)
            let otherStart = otherAddress &+ UInt64(second.offset)
            return otherStart &- start < UInt64(first.size ?? 0) || start &- otherStart < UInt64(second.size ?? 0)
        case (.pci(let device, let bar, _), .pci(let otherDevice, let otherBar, _)):
            guard device == otherDevice, bar == otherBar else { return false }
        default: guard first.backend == second.backend else { return false }
        }
        return second.offset - first.offset < first.size ?? Int.max
    }

    private struct Options {
        var map = 1
        var bar = 2
        var offset = 0
        var size: Int?
        var writeCombining = false
        private var seen: [String] = []

        /// - Returns: what is wrong, if anything is.
        mutating func take(_ option: String, backend: String) -> String? {
            if option == "wc", backend == "pci" {
                writeCombining = true
                return nil
            }
            guard let (name, value) = option.cut(at: "=") else { return compose("`\(option)` is no option") }
            guard let number = byteCount(value) else { return compose("\(name)=\(value) is no number") }
            if seen.contains(name) { return compose("\(name)= is given twice") }
            seen.append(name)
            switch name {
            case "map" where backend == "uio" && number < 5: map = number
            case "bar" where backend == "pci" && number < 6: bar = number
            case "offset":
                guard number % 4096 == 0 else { return "offset must be a multiple of 4096" }
                offset = number
            case "size":
                guard number > 0, number % 4096 == 0 else { return "size must be a multiple of 4096, above 0" }
                size = number
            default: return compose("\(name)=\(value) is no option of \(backend)")
            }
            return nil
        }
    }
}

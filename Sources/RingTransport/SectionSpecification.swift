// SPDX-License-Identifier: Apache-2.0

/// Where a section lies: `BACKEND:PLACE[,map=N][,bar=N][,wc][,offset=N][,size=N]`.
///
/// A class, and its parts plain values: enumerations with texts in them are copied by a lot of code.
public final class SectionSpecification: Sendable {
    public enum Backend: UInt8, Sendable {
        /// A file that both processes map (one host, tests).
        case file
        /// A UIO device by its driver's name, and which of its maps.
        case uio
        /// A PCI device by address (`0000:00:04.0`) or by vendor and device (`1af4:1110`), and which BAR.
        case pci
        /// Physical memory.
        case physical
    }

    public let backend: Backend
    /// The file's path, the UIO device's name or the PCI device; of physical memory, the address as it was written.
    public let place: String
    /// The map, the BAR or the physical address.
    public let number: UInt64
    /// A PCI resource is mapped write-combining.
    public let writeCombining: Bool
    /// Bytes from the start of the file, map, BAR or address.
    public let offset: Int
    /// Bytes; nil: to the end.
    public let size: Int?
    /// As it was written.
    public let text: String

    /// - Throws: kind `badSpecification`.
    public init(parsing text: String) throws(TransportError) {
        @inline(never)
        func bad(_ why: Message) -> TransportError {
            TransportError(.badSpecification, "`\(text)` is no section: \(why.text)")
        }
        let parts = text.parts(between: ",")
        guard let (kind, place) = parts[0].cut(at: ":") else {
            throw bad("write file:PATH, uio:NAME, pci:ADDRESS or devmem:0xADDRESS")
        }
        var options = Options(backend: kind)
        for part in parts[1...] {
            if let why = options.take(part) { throw bad(why) }
        }
        guard !place.isEmpty else { throw bad("nothing stands behind the colon") }
        var address: UInt64?
        switch kind {
        case "file": backend = .file
        case "uio": backend = .uio
        case "pci": backend = .pci
        case "devmem":
            backend = .physical
            address = place.rest(after: "0x").flatMap { unsigned($0, radix: 16) }
            guard let address, address % 4096 == 0 else {
                throw bad("the address must be hexadecimal and a multiple of 4096")
            }
            guard options.size != nil else { throw bad("devmem needs size=") }
        default: throw bad("there is no backend `\(kind)`; there are file, uio, pci and devmem")
        }
        self.place = place
        number = address ?? UInt64(options.number ?? (backend == .uio ? 1 : backend == .pci ? 2 : 0))
        writeCombining = options.writeCombining
        offset = options.offset
        size = options.size
        self.text = text
    }

    /// Whether the two name some of the same bytes, as far as their texts tell.
    public func overlaps(_ other: SectionSpecification) -> Bool {
        guard backend == other.backend else { return false }
        let isPhysical = backend == .physical
        guard isPhysical || (number == other.number && place == other.place) else { return false }
        // Each lies at or above the other in a circle of addresses; the distances tell.
        let start = (isPhysical ? number : 0) &+ UInt64(offset)
        let otherStart = (isPhysical ? other.number : 0) &+ UInt64(other.offset)
        return otherStart &- start < UInt64(size ?? Int.max) || start &- otherStart < UInt64(other.size ?? Int.max)
    }

    private struct Options {
        let backend: String
        /// `map=` or `bar=`.
        var number: Int?
        var offset = 0
        var size: Int?
        var writeCombining = false
        private var seen: [String] = []

        init(backend: String) { self.backend = backend }

        /// - Returns: what is wrong, if anything is.
        @inline(never)
        mutating func take(_ option: String) -> Message? {
            if option == "wc", backend == "pci" {
                writeCombining = true
                return nil
            }
            guard let (name, value) = option.cut(at: "=") else { return "`\(option)` is no option" }
            guard let number = byteCount(value) else { return "\(name)=\(value) is no number" }
            if seen.contains(name) { return "\(name)= is given twice" }
            seen.append(name)
            switch name {
            case "map" where backend == "uio" && number < 5: self.number = number
            case "bar" where backend == "pci" && number < 6: self.number = number
            case "offset":
                guard number % 4096 == 0 else { return "offset must be a multiple of 4096" }
                offset = number
            case "size":
                guard number > 0, number % 4096 == 0 else { return "size must be a multiple of 4096, above 0" }
                size = number
            default: return "\(name)=\(value) is no option of \(backend)"
            }
            return nil
        }
    }
}

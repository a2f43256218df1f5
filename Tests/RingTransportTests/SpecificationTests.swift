// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RingTransport

@Suite struct SpecificationTests {
    private func parts(_ text: String) throws -> [String] {
        let specification = try SectionSpecification(parsing: text)
        #expect(specification.text == text)
        let parts = ["\(specification.backend)", specification.place, "\(specification.number)"]
        return specification.writeCombining ? parts + ["wc"] : parts
    }

    @Test func everyBackend() throws {
        #expect(try parts("file:/dev/shm/x") == ["file", "/dev/shm/x", "0"])
        #expect(try parts("file:a=b:c") == ["file", "a=b:c", "0"])
        #expect(try parts("uio:ringway") == ["uio", "ringway", "1"])
        #expect(try parts("uio:dp,map=4") == ["uio", "dp", "4"])
        #expect(try parts("uio:dp,map=0") == ["uio", "dp", "0"])
        #expect(try parts("pci:0000:00:04.0") == ["pci", "0000:00:04.0", "2"])
        #expect(try parts("pci:1af4:1110,bar=5,wc") == ["pci", "1af4:1110", "5", "wc"])
        #expect(try parts("devmem:0x70000000,size=8M") == ["physical", "0x70000000", "\(0x7000_0000)"])
    }

    @Test func offsetAndSize() throws {
        let whole = try SectionSpecification(parsing: "file:/x")
        #expect(whole.offset == 0)
        #expect(whole.size == nil)
        let part = try SectionSpecification(parsing: "uio:ringway,size=0x1000,offset=8M,map=0")
        #expect(part.offset == 8 << 20)
        #expect(part.size == 4096)
        #expect(part.number == 0)
    }

    /// What is written, and a word that the message must have besides the text itself.
    static let bad: [(String, String)] = [
        ("", "file:PATH"), ("nothing", "file:PATH"), ("/dev/shm/x", "file:PATH"), (",size=4K", "file:PATH"),
        ("file:", "behind the colon"), ("uio:", "behind the colon"), ("pci:,bar=2", "behind the colon"),
        ("disk:/x", "there is no backend `disk`"), ("File:/x", "there is no backend `File`"), (":x", "no backend ``"),
        ("file:/x,", "no option"), ("file:/x,size", "no option"), ("file:/x,wc", "no option"),
        ("uio:r,wc", "no option"), ("pci:1:2,wc=1", "no option of pci"), ("file:/x,=4K", "no option of file"),
        ("file:/x,map=1", "map=1 is no option of file"), ("file:/x,bar=1", "bar=1 is no option of file"),
        ("pci:1:2,map=1", "map=1 is no option of pci"), ("uio:r,bar=2", "bar=2 is no option of uio"),
        ("devmem:0x1000,size=4K,map=1", "map=1 is no option of devmem"),
        ("uio:r,map=5", "map=5"), ("pci:1:2,bar=6", "bar=6"), ("uio:r,map=", "no number"), ("uio:r,map=x", "no number"),
        ("uio:r,map=-1", "no number"), ("pci:1:2,bar=+1", "no number"),
        ("file:/x,size=0", "size must be"), ("file:/x,size=4095", "size must be"), ("file:/x,size=-4096", "no number"),
        ("file:/x,offset=2K", "offset must be"), ("file:/x,offset=4097", "offset must be"),
        ("file:/x,offset=99999999999999999999", "no number"), ("file:/x,colour=4096", "no option of file"),
        ("file:/x,size=4K,size=8K", "size= is given twice"), ("file:/x,offset=0,offset=0", "offset= is given twice"),
        ("devmem:0x1000", "needs size="), ("devmem:4096,size=4K", "hexadecimal"), ("devmem:0x,size=4K", "hexadecimal"),
        ("devmem:0x1001,size=4K", "multiple of 4096"), ("devmem:0xg000,size=4K", "hexadecimal"),
        ("devmem:0x10000000000000000,size=4K", "hexadecimal"),
    ]

    @Test(arguments: bad)
    func everythingElseIsRefusedWithAReason(text: String, reason: String) throws {
        let error = try #require(throws: TransportError.self) { try SectionSpecification(parsing: text) }
        #expect(error.kind == .badSpecification)
        #expect(error.message.contains("`\(text)` is no section"))
        #expect(error.message.contains(reason), "\(error.message)")
    }

    /// Two sections, and whether they share memory as far as their texts tell.
    @Test(arguments: [
        ("file:/x,size=4K", "file:/x,offset=4K", false), ("file:/x,size=8K", "file:/x,offset=4K", true),
        ("file:/x", "file:/x,offset=1G", true), ("file:/x", "file:/y", false), ("file:/x", "uio:x", false),
        ("file:/x,offset=4K", "file:/x,offset=8K,size=4K", true), ("uio:r,map=1", "uio:r,map=2", false),
        ("uio:r", "uio:r,map=1", true), ("uio:r,size=8M", "uio:r,offset=8M,size=8M", false),
        ("pci:1:2", "pci:1:2,wc", true), ("pci:1:2", "pci:1:2,bar=4", false), ("pci:1:2", "pci:1:3", false),
        ("devmem:0x1000,size=4K", "devmem:0x2000,size=4K", false),
        ("devmem:0x1000,size=8K", "devmem:0x2000,size=4K", true),
        ("devmem:0x1000,offset=4K,size=4K", "devmem:0x2000,size=4K", true),
        ("devmem:0x2000,size=8K", "devmem:0x0,offset=12K,size=4K", true),
        ("file:/x,size=4611686018427383808", "file:/x,offset=4611686018427383808,size=4K", false),
    ])
    func overlaps(first: String, second: String, shared: Bool) throws {
        let one = try SectionSpecification(parsing: first)
        let two = try SectionSpecification(parsing: second)
        #expect(one.overlaps(two) == shared)
        #expect(two.overlaps(one) == shared)
        #expect(one.overlaps(one))
    }

    @Test(arguments: [
        ("none", DoorbellSpecification.Kind.none, "", "", UInt64(0), Int32(-1)),
        ("uio:ringway", .uio, "ringway", "ringway", 0, -1),
        ("generic-uio:window", .genericUIO, "window", "window", 1, -1),
        ("generic-uio:window,map=4", .genericUIO, "window", "window", 4, -1),
        ("connection:conn_a", .connection, "conn_a", "conn_a", 0, -1),
        ("connection:conn_a,ring=conn_b", .connection, "conn_a", "conn_b", 0, -1),
        ("gpio-keys:peer,page=0x5000F000", .gpioKeys, "peer", "", 0x5000_F000, -1),
        ("eventfd:3,0", .eventfd, "", "", 0, 3), ("eventfd:10,11", .eventfd, "", "", 11, 10),
    ])
    func doorbells(
        text: String, kind: DoorbellSpecification.Kind, name: String, ring: String, place: UInt64, receive: Int32
    ) throws {
        let found = try DoorbellSpecification.parse(text)
        #expect(found.text == text && found.kind == kind)
        #expect(found.name == name && found.ring == ring)
        #expect(found.place == place && found.receive == receive)
    }

    static let badDoorbells = [
        "", "None", "uio:", "uio", "uio:r,map=1", "none:", "eventfd:", "eventfd:1", "eventfd:1,", "eventfd:,1",
        "eventfd:1,2,3", "eventfd:-1,2", "eventfd:1,-2", "eventfd:a,b", "eventfd:1,2147483648",
        "eventfd:99999999999999999999,1", "irq:4", "eventfd:4,4", "generic-uio:", "generic-uio:w,map=5",
        "generic-uio:w,map=", "generic-uio:w,ring=x", "connection:", "connection:c,ring=", "connection:c,map=0",
        "gpio-keys:k", "gpio-keys:,page=0x1000", "gpio-keys:k,page=0x1001", "gpio-keys:k,page=4096",
        "gpio-keys:k,page=0x", "gpio-keys:k,page=0xfffffffffffff000",
    ]

    @Test(arguments: badDoorbells)
    func noDoorbell(text: String) throws {
        let error = try #require(throws: TransportError.self) { try DoorbellSpecification.parse(text) }
        #expect(error.kind == .badSpecification)
        #expect(error.message.contains("`\(text)`"))
    }
}

@Suite struct ByteCountTests {
    @Test(arguments: [
        ("0", 0), ("1", 1), ("4096", 4096), ("0x1000", 4096), ("0xAbC", 0xABC), ("1K", 1024), ("8M", 8 << 20),
        ("2G", 2 << 30), ("0x10K", 16384), ("007", 7), ("4611686018427387904", 1 << 62), ("4294967296G", 1 << 62),
        ("4503599627370496K", 1 << 62),
    ])
    func numbers(text: String, value: Int) { #expect(byteCount(text) == value) }

    @Test(arguments: [
        "", "K", "0x", "0xK", "-1", "+1", "0x-1", "0x+1", " 1", "1 ", "1k", "1KB", "1.5M", "x", "0X10", "1T", "KK",
        "1KK",
        "4611686018427387905", "4294967297G", "18446744073709551616", "99999999999999999999999", "0xfffffffffffffffff",
        "１", "1\0", "0b1", "1e3",
    ])
    func notNumbers(text: String) { #expect(byteCount(text) == nil) }
}

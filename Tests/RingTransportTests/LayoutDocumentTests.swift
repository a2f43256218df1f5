// SPDX-License-Identifier: Apache-2.0
import Foundation
import RingBuffer
import Testing

/// `docs/region-layout.md` is the layout's specification: its tables and the code must say the same.
@Suite struct LayoutDocumentTests {
    static let constants: [String: Int] = [
        "headerMagic": SectionLayout.headerMagic, "headerVersion": SectionLayout.headerVersion,
        "headerSide": SectionLayout.headerSide, "headerChannels": SectionLayout.headerChannels,
        "headerRingCapacity": SectionLayout.headerRingCapacity, "headerOpensA": SectionLayout.headerOpensA,
        "headerLinkWord": SectionLayout.headerLinkWord, "headerHeartbeat": SectionLayout.headerHeartbeat,
        "headerDoorbell": SectionLayout.headerDoorbell, "headerFlags": SectionLayout.headerFlags,
        "channelPort": SectionLayout.channelPort, "channelStartIndex": SectionLayout.channelStartIndex,
        "channelFinalIndex": SectionLayout.channelFinalIndex, "channelReason": SectionLayout.channelReason,
        "channelState": SectionLayout.channelState, "channelTail": SectionLayout.channelTail,
        "channelGrant": SectionLayout.channelGrant,
        "channelHead": SectionLayout.channelHead, "channelConsumerWake": SectionLayout.channelConsumerWake,
        "channelProducerWake": SectionLayout.channelProducerWake,
    ]

    /// Rows `| 0x… | bytes | name | …`.
    static func rows() throws -> [(offset: Int, bytes: Int, name: String)] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: root.appendingPathComponent("docs/region-layout.md"), encoding: .utf8)
        return text.split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count >= 4, cells[0].hasPrefix("0x"), let offset = Int(cells[0].dropFirst(2), radix: 16),
                let bytes = Int(cells[1])
            else { return nil }
            return (offset, bytes, cells[2])
        }
    }

    @Test func everyRowIsAConstantAndEveryConstantARow() throws {
        let rows = try Self.rows()
        #expect(rows.count == Self.constants.count)
        for row in rows { #expect(Self.constants[row.name] == row.offset, "\(row.name)") }
    }

    @Test func wordsAreAlignedAndDoNotOverlap() throws {
        for prefix in ["header", "channel"] {
            let rows = try Self.rows().filter { $0.name.hasPrefix(prefix) }.sorted { $0.offset < $1.offset }
            for (row, next) in zip(rows, rows.dropFirst()) { #expect(row.offset + row.bytes <= next.offset) }
            for row in rows { #expect(row.offset % row.bytes == 0, "\(row.name)") }
        }
    }

    @Test func aSectionsPartsFollowEachOther() throws {
        let geometry = try #require(SectionGeometry(channels: 3, ringCapacity: 8192, opensA: 1))
        #expect(SectionLayout.channelPage(0) == 4096)
        #expect(SectionLayout.channelPage(2) + 4096 == SectionLayout.ringData(0, geometry))
        #expect(SectionLayout.ringData(2, geometry) + 8192 == geometry.sectionSize)
        #expect(SectionLayout.version == 1)
    }
}

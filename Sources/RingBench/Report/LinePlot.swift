// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Lines over two logarithmic axes, as SVG.
struct LinePlot {
    struct Line {
        let name: String
        let points: [(x: Double, y: Double)]
    }

    struct Axis {
        let title: String
        /// Where it has marks, and what they say.
        let marks: [(value: Double, text: String)]
    }

    let title: String
    let x: Axis
    let y: Axis
    let lines: [Line]

    private static let (width, height) = (900.0, 520.0)
    private static let (left, right, top, bottom) = (80.0, 300.0, 50.0, 60.0)
    private static let colours = [
        "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666", "#882255", "#117733", "#aa4499",
        "#44aa99", "#332288", "#999933", "#000000",
    ]

    private func place(_ value: Double, _ axis: Axis, _ from: Double, _ to: Double) -> Double {
        let low = log(axis.marks.map(\.value).min() ?? 1)
        let high = log(axis.marks.map(\.value).max() ?? 10)
        return from + (to - from) * (log(max(value, 1e-9)) - low) / max(high - low, 1e-9)
    }

    private func horizontal(_ value: Double) -> Double { place(value, x, Self.left, Self.width - Self.right) }
    private func vertical(_ value: Double) -> Double { place(value, y, Self.height - Self.bottom, Self.top) }

    var svg: String {
        let size = "width=\"\(Int(Self.width))\" height=\"\(Int(Self.height))\""
        let parts =
            [
                "<svg xmlns=\"http://www.w3.org/2000/svg\" \(size) font-family=\"sans-serif\" font-size=\"12\">",
                "<rect \(size) fill=\"white\"/>",
                text(title, Self.left, 24, "start", 16),
            ] + grid + lines.enumerated().flatMap { draw($1, $0) } + ["</svg>"]
        return parts.joined(separator: "\n") + "\n"
    }

    private var grid: [String] {
        let (end, floor) = (Self.width - Self.right, Self.height - Self.bottom)
        let columns = x.marks.flatMap { mark in
            [
                stroke([(horizontal(mark.value), floor), (horizontal(mark.value), Self.top)], "#dddddd", 1),
                text(mark.text, horizontal(mark.value), floor + 18, "middle"),
            ]
        }
        let rows = y.marks.flatMap { mark in
            [
                stroke([(Self.left, vertical(mark.value)), (end, vertical(mark.value))], "#dddddd", 1),
                text(mark.text, Self.left - 8, vertical(mark.value) + 4, "end"),
            ]
        }
        return columns + rows + [
            text(x.title, (Self.left + end) / 2, Self.height - 16, "middle"), text(y.title, Self.left, 42, "end"),
        ]
    }

    private func draw(_ line: Line, _ index: Int) -> [String] {
        let colour = Self.colours[index % Self.colours.count]
        // Where the colours begin again.
        let isDashed = index >= Self.colours.count
        let points = line.points.map { (horizontal($0.x), vertical($0.y)) }
        let dots = points.map { "<circle cx=\"\(number($0.0))\" cy=\"\(number($0.1))\" r=\"3\" fill=\"\(colour)\"/>" }
        let (start, row) = (Self.width - Self.right + 20, Self.top + 20 * Double(index))
        return [stroke(points, colour, 2, isDashed)] + dots + [
            stroke([(start, row), (start + 20, row)], colour, 3, isDashed),
            text(line.name, start + 28, row + 4, "start"),
        ]
    }

    private func stroke(_ points: [(Double, Double)], _ colour: String, _ width: Int, _ isDashed: Bool = false)
        -> String
    {
        let places = points.map { "\(number($0.0)),\(number($0.1))" }.joined(separator: " ")
        let dashes = isDashed ? " stroke-dasharray=\"6 3\"" : ""
        return
            "<polyline points=\"\(places)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"\(width)\"\(dashes)/>"
    }

    private func text(_ text: String, _ x: Double, _ y: Double, _ anchor: String, _ size: Int = 12) -> String {
        let safe = text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
        return
            "<text x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\" font-size=\"\(size)\">\(safe)</text>"
    }

    private func number(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}

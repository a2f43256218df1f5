// SPDX-License-Identifier: Apache-2.0

/// The middle of a sample and how far it spreads.
public struct Quartiles: Equatable, Sendable, Codable {
    public let lower: Double
    public let median: Double
    public let upper: Double

    /// Between two values of the sample a quantile is interpolated (Hyndman and Fan 1996, type 7).
    /// - Parameter values: at least one.
    public init(_ values: [Double]) {
        let sorted = values.sorted()
        func at(_ fraction: Double) -> Double {
            let place = fraction * Double(sorted.count - 1)
            let low = Int(place)
            let high = min(low + 1, sorted.count - 1)
            return sorted[low] + (sorted[high] - sorted[low]) * (place - Double(low))
        }
        (lower, median, upper) = (at(0.25), at(0.5), at(0.75))
    }

    /// "median (lower to upper)".
    public func text(_ digits: Int) -> String {
        "\(Self.fixed(median, digits)) (\(Self.fixed(lower, digits)) to \(Self.fixed(upper, digits)))"
    }

    /// A number of 0 or more with so many digits behind its point.
    public static func fixed(_ value: Double, _ digits: Int) -> String {
        let scale = (0..<digits).reduce(1.0) { product, _ in product * 10 }
        let whole = Int((value * scale).rounded())
        guard digits > 0 else { return "\(whole)" }
        let rest = String(whole % Int(scale))
        return "\(whole / Int(scale))." + String(repeating: "0", count: digits - rest.count) + rest
    }
}

// A JSON reader whose values keep their text: payloads go on as they came, with every digit.
import Foundation

struct JSON: Sendable {
    let text: [UInt8]
    /// The fields of an object, or the elements of an array.
    private(set) var fields: [String: JSON] = [:]
    private(set) var elements: [JSON] = []

    var raw: String { String(decoding: text, as: UTF8.self) }
    var string: String? {
        text.first == UInt8(ascii: "\"") ? try? JSONDecoder().decode(String.self, from: Data(text)) : nil
    }
    var number: Int? { Int(raw) }
    var isTrue: Bool { raw == "true" }

    init(_ line: String) {
        var at = 0
        self = JSON.value(Array(line.utf8), &at)
    }

    private init(text: [UInt8]) { self.text = text }

    private static func value(_ all: [UInt8], _ at: inout Int) -> JSON {
        blank(all, &at)
        let start = at
        guard at < all.count else { return JSON(text: []) }
        var fields: [String: JSON] = [:]
        var elements: [JSON] = []
        switch all[at] {
        case UInt8(ascii: "\""): past(all, &at)
        case UInt8(ascii: "{"):
            at += 1
            blank(all, &at)
            while at < all.count, all[at] == UInt8(ascii: "\"") {
                let name = value(all, &at).string ?? ""
                blank(all, &at)
                at += 1
                fields[name] = value(all, &at)
                next(all, &at)
            }
            at += 1
        case UInt8(ascii: "["):
            at += 1
            blank(all, &at)
            while at < all.count, all[at] != UInt8(ascii: "]") {
                elements.append(value(all, &at))
                next(all, &at)
            }
            at += 1
        default:
            while at < all.count, !",]} \n\r\t".utf8.contains(all[at]) { at += 1 }
        }
        var made = JSON(text: Array(all[start..<min(at, all.count)]))
        made.fields = fields
        made.elements = elements
        return made
    }

    private static func blank(_ all: [UInt8], _ at: inout Int) {
        while at < all.count, " \n\r\t".utf8.contains(all[at]) { at += 1 }
    }

    /// Past the comma behind an element, if there is one.
    private static func next(_ all: [UInt8], _ at: inout Int) {
        blank(all, &at)
        if at < all.count, all[at] == UInt8(ascii: ",") { at += 1 }
        blank(all, &at)
    }

    /// Past a string.
    private static func past(_ all: [UInt8], _ at: inout Int) {
        at += 1
        while at < all.count, all[at] != UInt8(ascii: "\"") { at += all[at] == UInt8(ascii: "\\") ? 2 : 1 }
        at += 1
    }
}

// swift-tools-version: 6.0
// Built by scripts/swift.sh. Needs `make bindings` first: what is in generated/ comes from UniFFI and is never edited.
import PackageDescription

let package = Package(
    name: "RealtimePubSub",
    platforms: [.macOS(.v13), .iOS(.v16), .tvOS(.v16), .watchOS(.v9)],
    products: [.library(name: "RealtimePubSub", targets: ["RealtimePubSub"])],
    targets: [
        // UniFFI's header, and its .modulemap as module.modulemap with `link "realtime_pubsub_uniffi"` instead of the `use` lines.
        // Where the library is, the environment says (LIBRARY_PATH, LD_LIBRARY_PATH): a package with unsafeFlags could not
        // be depended on.
        .systemLibrary(name: "RealtimePubSubFFI", path: "generated/RealtimePubSubFFI"),
        // Generated code stays in Swift 5 mode: Swift 6.0's compiler crashes on async foreign traits in Swift 6 mode.
        .target(
            name: "RealtimePubSubGenerated",
            dependencies: ["RealtimePubSubFFI"],
            path: "generated/RealtimePubSubGenerated",
            swiftSettings: [.swiftLanguageMode(.v5)]
        ),
        .target(name: "RealtimePubSub", dependencies: ["RealtimePubSubGenerated"]),
        .executableTarget(name: "RealtimePubSubBench", dependencies: ["RealtimePubSub"]),
        .testTarget(name: "RealtimePubSubTests", dependencies: ["RealtimePubSub"]),
    ],
    swiftLanguageModes: [.v6]
)

// swift-tools-version: 6.0
// Programs that use the Swift package. Run one with ../run.sh.
// In a folder of its own name: SwiftPM tells packages apart by the names of their folders, and the library is in `swift` too.
import PackageDescription

let programs = ["basic", "wildcard", "rpc_server", "rpc_client", "publish", "subscribe"]

let package = Package(
    name: "RealtimePubSubExamples",
    platforms: [.macOS(.v13)],
    dependencies: [.package(name: "RealtimePubSub", path: "../../../bindings/uniffi/swift")],
    targets: [
        .target(name: "Place", dependencies: ["RealtimePubSub"])
    ]
        + programs.map {
            .executableTarget(name: $0, dependencies: ["Place", "RealtimePubSub"])
        },
    swiftLanguageModes: [.v6]
)

// swift-tools-version: 6.0
// The driver of the conformance scenarios. build.sh builds it.
import PackageDescription

let package = Package(
    name: "RealtimePubSubConformance",
    platforms: [.macOS(.v13)],
    dependencies: [.package(name: "RealtimePubSub", path: "../../../../../bindings/uniffi/swift")],
    targets: [.executableTarget(name: "driver", dependencies: ["RealtimePubSub"])],
    swiftLanguageModes: [.v6]
)

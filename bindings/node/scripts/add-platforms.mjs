// Before a release: names the platform packages, of this very version, as optional dependencies. They are not in the
// repository's package.json, because they can't be installed before they are published.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

const folder = new URL('..', import.meta.url)
const read = path => JSON.parse(readFileSync(new URL(path, folder), 'utf8'))
const manifest = read('package.json')
manifest.optionalDependencies = {}
for (const name of readdirSync(new URL('npm', folder))) {
  const platform = read(`npm/${name}/package.json`)
  if (platform.version !== manifest.version) {
    throw new Error(`${platform.name} has version ${platform.version}, not ${manifest.version}`)
  }
  manifest.optionalDependencies[platform.name] = manifest.version
}
writeFileSync(new URL('package.json', folder), `${JSON.stringify(manifest, null, 2)}\n`)

// The ESM entry. There is one instance of everything, whichever way it is loaded.
export * from './index.js'

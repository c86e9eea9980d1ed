// Answers questions in a web worker, so that typing never waits: Pyodide with the language.
// Parts are loaded when needed: diagnostics work before pydantic is loaded, and only the graph loads networkx.

import {loadPyodide} from "./pyodide/pyodide.mjs"

const PARTS_OF = {check: [], models: [], graph: ["plan", "graph"], complete: ["plan", "words"], hover: ["plan", "words"]}

const address = (name) => new URL(name, import.meta.url)
const manifest = fetched("manifest.json", {cache: "no-cache"}).then((response) => response.json())
const archives = {}
const loaded = new Map()

async function fetched(name, options) {
  const response = await fetch(address(name), options)
  if (!response.ok) throw new Error(`${name} cannot be loaded (${response.status})`)
  return response
}

/** All archives of a part, requested at the same time. */
async function archivesOf(part) {
  const {parts, stamp} = await manifest
  archives[part] ??= Promise.all(parts[part].map(async (name) => [name, await (await fetched(`${name}?${stamp}`)).arrayBuffer()]))
  return archives[part]
}

const started = (async () => {
  const [pyodide] = await Promise.all([loadPyodide({indexURL: address("pyodide/").href}), archivesOf("language")])
  return pyodide
})()

/** Unpacks a part once. */
function load(part) {
  if (!loaded.has(part)) {
    loaded.set(part, (async () => {
      postMessage({isLoading: true})
      const pyodide = await started
      const extractDir = pyodide.runPython("import sysconfig; sysconfig.get_path('purelib')")
      for (const [name, buffer] of await archivesOf(part)) {
        pyodide.unpackArchive(buffer, name.endsWith(".whl") ? "wheel" : "zip", {extractDir})
      }
      delete archives[part]
      postMessage({isLoading: false})
    })())
  }
  return loaded.get(part)
}

let answer = null

async function answered(question) {
  await load("language")
  for (const part of PARTS_OF[question.ask] ?? ["plan"]) await load(part)
  const pyodide = await started
  answer ??= pyodide.runPython("import importlib; importlib.invalidate_caches(); from answers import answer; answer")
  return JSON.parse(answer(JSON.stringify(question)))
}

// one question at a time, in order
let last = load("language").then(
  async () => {
    archivesOf("plan").catch(() => undefined) // reported when it is needed
    postMessage({ready: true, ...(await manifest)})
  },
  (error) => postMessage({broken: String(error.message ?? error)}),
)
self.onmessage = ({data: {id, question}}) => {
  last = last.then(async () => {
    try {
      postMessage({id, answer: await answered(question)})
    } catch (error) {
      postMessage({id, failure: String(error.message ?? error).trim().split("\n").at(-1), isFatal: Boolean(error.pyodide_fatal_error)})
    }
  })
}

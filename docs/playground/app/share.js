// Converts files and the model to the fragment of a link and back: compressed, in characters valid in a URL. No server sees it.

import {MAIN} from "./files.js"

const MAX_LENGTH = 1_000_000

/** `#text=...` with the other files and the model, if any. */
export async function toFragment({files: [{text}, ...others], model}) {
  const used = others.length > 0 ? `&files=${await packed(JSON.stringify(others.map((file) => [file.name, file.text])))}` : ""
  return `#text=${await packed(text)}${used}${model ? `&model=${encodeURIComponent(model)}` : ""}`
}

async function packed(text) {
  const bytes = await through(new Blob([text]).stream(), new CompressionStream("deflate-raw"), Infinity)
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
}

async function unpacked(letters) {
  const bytes = Uint8Array.from(atob(letters.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0))
  const text = await through(new Blob([bytes]).stream(), new DecompressionStream("deflate-raw"), MAX_LENGTH)
  return new TextDecoder("utf-8", {fatal: true}).decode(text)
}

/** The contents of a fragment, null if it has no schedule; throws if it is damaged. */
export async function fromFragment(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""))
  const letters = fields.get("text")
  if (letters === null) return null
  try {
    const others = JSON.parse(fields.has("files") ? await unpacked(fields.get("files")) : "[]")
    const used = others.map(([name, text]) => ({name: String(name), text: String(text)}))
    return {files: [{name: MAIN, text: await unpacked(letters)}, ...used], model: fields.get("model") ?? ""}
  } catch (error) {
    throw new Error("the link is damaged: it holds no whole schedule", {cause: error})
  }
}

async function through(stream, transform, maxLength) {
  const chunks = []
  let length = 0
  for (let reader = stream.pipeThrough(transform).getReader(); ;) {
    const {done, value} = await reader.read()
    if (done) break
    length += value.length
    if (length > maxLength) throw new Error("too long")
    chunks.push(value)
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer())
}

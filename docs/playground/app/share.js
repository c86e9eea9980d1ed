// Converts a schedule to the fragment of a link and back: compressed, in characters valid in a URL. No server sees it.

const MAX_LENGTH = 1_000_000

/** `#text=...` with the model, if any. */
export async function toFragment({text, model}) {
  const packed = await through(new Blob([text]).stream(), new CompressionStream("deflate-raw"), Infinity)
  const letters = btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join("")).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
  return `#text=${letters}${model ? `&model=${encodeURIComponent(model)}` : ""}`
}

/** The contents of a fragment, null if it has no schedule; throws if it is damaged. */
export async function fromFragment(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""))
  const letters = fields.get("text")
  if (letters === null) return null
  try {
    const bytes = Uint8Array.from(atob(letters.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0))
    const unpacked = await through(new Blob([bytes]).stream(), new DecompressionStream("deflate-raw"), MAX_LENGTH)
    return {text: new TextDecoder("utf-8", {fatal: true}).decode(unpacked), model: fields.get("model") ?? ""}
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

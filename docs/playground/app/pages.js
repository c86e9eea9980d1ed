// Converts the language server's pages to DOM: the subset of Markdown that they use.

import {element} from "./elements.js"

/** Paragraphs, headings, lists, fences, tables; bold and code within them. */
export function rendered(page) {
  const blocks = page.split(/(^```[^\n]*\n[\s\S]*?^```$)/m)
  return element("div", {class: "pg-page"}, ...blocks.flatMap((text, index) => (index % 2 ? [fence(text)] : paragraphs(text))))
}

function fence(text) {
  return element("pre", {}, element("code", {}, text.replace(/^```[^\n]*\n/, "").replace(/\n?```$/, "")))
}

function paragraphs(text) {
  return text.split(/\n{2,}/).map((block) => block.trim()).filter((block) => block !== "").map(paragraph)
}

function paragraph(block) {
  const lines = block.split("\n")
  if (block === "---") return element("hr")
  if (lines.every((line) => /^[*-] /.test(line))) return element("ul", {}, ...lines.map((line) => element("li", {}, ...inline(line.slice(2)))))
  if (lines.every((line) => line.startsWith("|"))) return table(lines)
  const heading = /^#+ (.*)$/.exec(block)
  return element("p", {}, ...(heading ? [element("strong", {}, heading[1])] : inline(lines.join(" "))))
}

function table([head, , ...rows]) {
  const cells = (line, tag) => element("tr", {}, ...line.slice(1, -1).split("|").map((cell) => element(tag, {}, ...inline(cell.trim()))))
  return element("table", {class: "pg-rows"}, cells(head, "th"), ...rows.map((row) => cells(row, "td")))
}

function inline(text) {
  return text.split(/(\*\*.+?\*\*|`[^`]+`)/).map((piece) => {
    if (piece.startsWith("**")) return element("strong", {}, ...inline(piece.slice(2, -2)))
    return piece.startsWith("`") ? element("code", {}, piece.slice(1, -1)) : piece
  })
}

// Makes a CodeMirror language from the pattern table of dsd_lang.editors, which has every word and pattern.

import {StreamLanguage, syntaxHighlighting} from "@codemirror/language"
import {Tag, tagHighlighter} from "@lezer/highlight"
import table from "dsd-patterns"

const compiled = (rule) => ({regex: new RegExp(rule.pattern, "y"), parts: rule.parts})
const groups = Object.fromEntries(Object.entries(table.groups).map(([name, rules]) => [name, rules.map(compiled)]))
const regions = Object.fromEntries(
  table.regions.map((region) => [
    region.name,
    {opens: compiled(region.opens), ends: region.ends.map(compiled), inside: region.inside},
  ]),
)
const tags = Object.fromEntries(table.parts.map((part) => [part, Tag.define()]))

/** The parts of a match at the stream's position, or null. */
function stretches(rule, stream) {
  rule.regex.lastIndex = stream.pos
  const found = rule.regex.exec(stream.string)
  return found && rule.parts.map((part, index) => ({part, length: found[index + 1].length}))
}

/** The category at this position by the current rules; enters and leaves regions. */
function recognised(stream, state) {
  const region = regions[state.regions.at(-1)]
  for (const end of region ? region.ends : []) {
    const found = stretches(end, stream)
    if (found) {
      state.regions.pop()
      return found
    }
  }
  for (const name of region ? region.inside : table.outside) {
    const inner = regions[name]
    for (const rule of inner ? [inner.opens] : groups[name]) {
      const found = stretches(rule, stream)
      if (found?.some((one) => one.length > 0)) {
        if (inner) state.regions.push(name)
        return found
      }
    }
  }
  return null
}

function token(stream, state) {
  for (;;) {
    while (state.ahead.length > 0) {
      const {part, length} = state.ahead.shift()
      if (length > 0) {
        stream.pos += length
        return part === "blank" ? null : part
      }
    }
    const depth = state.regions.length
    const found = recognised(stream, state)
    if (found) state.ahead = found
    if (found?.some((one) => one.length > 0) || state.regions.length !== depth) continue
    if (!stream.eatSpace()) stream.next()
    return null
  }
}

const language = StreamLanguage.define({
  name: "dsd",
  startState: () => ({regions: [], ahead: []}),
  copyState: (state) => ({regions: [...state.regions], ahead: [...state.ahead]}),
  token,
  tokenTable: tags,
  indent: (state, after, context) => {
    const previous = context.lineAt(context.pos, -1).text
    const spaces = /^\s*/.exec(previous)[0].length + (/[{([]\s*(#.*)?$/.test(previous) ? context.unit : 0)
    return Math.max(0, /^\s*[}\])]/.test(after) ? spaces - context.unit : spaces)
  },
  languageData: {commentTokens: {line: "#"}, closeBrackets: {brackets: ["(", "[", "{", '"']}, indentOnInput: /^\s*[})\]]$/},
})

export const dsd = [
  language,
  syntaxHighlighting(tagHighlighter(Object.entries(tags).map(([part, tag]) => ({tag, class: `dsd-${part}`})))),
]

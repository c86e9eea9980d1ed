// The editor: CodeMirror with diagnostics, fixes and completion.

import {autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap} from "@codemirror/autocomplete"
import {defaultKeymap, history, historyKeymap} from "@codemirror/commands"
import {bracketMatching, indentOnInput, indentUnit} from "@codemirror/language"
import {forEachDiagnostic, lintGutter, lintKeymap, setDiagnostics} from "@codemirror/lint"
import {EditorSelection, EditorState} from "@codemirror/state"
import {
  EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, hoverTooltip, keymap,
  lineNumbers,
} from "@codemirror/view"
import {element, marked} from "./elements.js"
import {dsd} from "./highlighter.js"
import {rendered} from "./pages.js"

const SEVERITIES = {error: "error", warning: "warning", advice: "info"}

/**
 * An editor in `parent`, and what makes the state of a text in it; `onText` is called at every change, `onPlace` when
 * the cursor moves.
 */
export function createEditor({parent, onText, onPlace, onFormat, complete, hover}) {
  const heard = EditorView.updateListener.of((update) => {
    if (update.docChanged) onText(update.state.doc.toString())
    if (update.docChanged || update.selectionSet) onPlace(update.state.selection.main.head)
  })
  const format = {key: "Shift-Alt-f", run: () => (onFormat(), true)}
  const extensions = [
    lineNumbers(), lintGutter(), highlightActiveLineGutter(), highlightActiveLine(), highlightSpecialChars(), history(),
    drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), dsd, indentUnit.of("  "),
    autocompletion({override: [complete], icons: false}),
    hoverTooltip((view, position) => explained(view, position, hover)),
    keymap.of([format, ...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap]),
    EditorView.contentAttributes.of({"aria-label": "Schedule", autocapitalize: "off", autocorrect: "off", spellcheck: "false"}),
    heard,
  ]
  const newState = (text) => EditorState.create({doc: text, extensions})
  return {view: new EditorView({parent, state: newState("")}), newState}
}

/** Marks diagnostics in the text: squiggles, the gutter, a box on hover with the rule's page and the fix. */
export function showFindings(view, findings) {
  const end = view.state.doc.length
  const shown = findings.map((finding) => ({
    from: Math.min(finding.from, end),
    to: Math.min(finding.to, end),
    severity: SEVERITIES[finding.severity],
    message: finding.message,
    renderMessage: () => told(finding),
    actions: isApplicable(finding.fix) ? [{name: finding.fix.message, apply: () => applyFix(view, finding.fix)}] : [],
  }))
  view.dispatch(setDiagnostics(view.state, shown))
}

/** A box with the hover text of a word; not where a diagnostic has its own. */
async function explained(view, position, hover) {
  let isTaken = false
  forEachDiagnostic(view.state, (_, from, to) => (isTaken ||= from <= position && position <= to))
  const page = isTaken ? null : await hover(view, position)
  const word = view.state.wordAt(position)
  if (page === null || word === null) return null
  return {pos: word.from, end: word.to, above: true, create: () => ({dom: rendered(page)})}
}

function told(finding) {
  const link = element("a", {href: finding.url, target: "_blank", rel: "noopener", class: "pg-code"}, finding.code)
  return element(
    "div", {class: "pg-told"},
    element("p", {}, link, " ", marked(finding.message)),
    finding.help && element("p", {class: "pg-help"}, marked(finding.help)),
    finding.summary && element("p", {class: "pg-rule"}, `${finding.name}: ${finding.summary}`),
  )
}

/** Whether a fix may be applied by a button. */
export function isApplicable(fix) {
  return fix !== null && fix.applicability !== "display" && fix.edits.length > 0
}

/** Applies a fix's edits as one change that can be undone. */
export function applyFix(view, fix) {
  view.dispatch({changes: fix.edits, userEvent: "input.fix"})
  view.focus()
}

/** Replaces the text, but only the part that differs, so that the cursor does not move. */
export function replaceText(view, text) {
  const old = view.state.doc.toString()
  let start = 0
  while (start < Math.min(old.length, text.length) && old[start] === text[start]) start++
  let back = 0
  while (back < Math.min(old.length, text.length) - start && old.at(-1 - back) === text.at(-1 - back)) back++
  if (start === old.length && start === text.length) return
  view.dispatch({changes: {from: start, to: old.length - back, insert: text.slice(start, text.length - back)}})
}

/** Moves the cursor to a range of the text and scrolls to it. */
export function goTo(view, {from, to}) {
  const end = view.state.doc.length
  const selection = EditorSelection.single(Math.min(from, end), Math.min(to, end))
  view.dispatch({selection, effects: EditorView.scrollIntoView(selection.main, {y: "center"})})
  view.focus()
}

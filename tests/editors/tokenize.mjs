// Texts in (JSON on stdin: {"grammars": {scope: path}, "scope": ..., "texts": [...]}), tokens out: for each text a list of
// [start, end, scopes] in code units, by the engine that VS Code itself uses. The first argument is the extension's folder.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const extension = resolve(process.argv[2]);
const require = createRequire(join(extension, "package.json"));
const oniguruma = require("vscode-oniguruma");
const textmate = require("vscode-textmate");

const wasm = readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
const onigLib = oniguruma.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength)).then(() => ({
  createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
  createOnigString: (text) => new oniguruma.OnigString(text),
}));
const request = JSON.parse(readFileSync(0, "utf8"));
const registry = new textmate.Registry({
  onigLib,
  loadGrammar: async (scope) =>
    request.grammars[scope] ? textmate.parseRawGrammar(readFileSync(request.grammars[scope], "utf8"), "x.json") : null,
  getInjections: (scope) => (scope === request.scope ? request.injections ?? [] : []),
});

const grammar = await registry.loadGrammar(request.scope);
const answers = request.texts.map((text) => {
  const tokens = [];
  let state = textmate.INITIAL;
  let start = 0;
  for (const line of text.split(/(?<=\n)/)) {
    const body = line.replace(/\r?\n$/, "");
    const found = grammar.tokenizeLine(body, state);
    for (const token of found.tokens) {
      tokens.push([start + token.startIndex, start + Math.min(token.endIndex, body.length), token.scopes.slice(1)]);
    }
    state = found.ruleStack;
    start += line.length;
  }
  return tokens;
});
process.stdout.write(JSON.stringify(answers));

// The bundled extension run outside of VS Code, its `vscode` module played by a stand-in: a request as JSON on stdin
// ({"bundle", "settings", "trusted", "documents", "restarts", "waitFor"}), what it did as JSON on stdout.
"use strict";

const fs = require("node:fs");
const Module = require("node:module");

const request = JSON.parse(fs.readFileSync(0, "utf8"));
const seen = { messages: [], output: [], status: [], commands: [], diagnostics: {} };
const commands = new Map();

/** Anything the code may ask for and this stand-in does not model: callable, constructible, with any property. */
function anything() {
  const known = new Map();
  return new Proxy(class {}, {
    get(target, name) {
      if (name === "prototype") return target.prototype;
      if (typeof name === "symbol" || name === "then") return undefined;
      if (!known.has(name)) known.set(name, anything());
      return known.get(name);
    },
    apply: () => ({ dispose() {} }),
  });
}

function withDefaults(known) {
  const rest = anything();
  return new Proxy(known, { get: (target, name) => (name in target ? target[name] : rest[name]) });
}

class Position {
  constructor(line, character) {
    Object.assign(this, { line, character });
  }
}

class Range {
  constructor(start, end, line, character) {
    this.start = start instanceof Position ? start : new Position(start, end);
    this.end = start instanceof Position ? end : new Position(line, character);
  }
}

class Diagnostic {
  constructor(range, message, severity) {
    Object.assign(this, { range, message, severity });
  }
}

class TabInputText {
  constructor(uri) {
    this.uri = uri;
  }
}

class EventEmitter {
  constructor() {
    this.listeners = [];
    this.event = (listener, self) => {
      const call = (value) => listener.call(self, value);
      this.listeners.push(call);
      return { dispose: () => this.listeners.splice(this.listeners.indexOf(call), 1) };
    };
  }
  fire(value) {
    for (const listener of [...this.listeners]) listener(value);
  }
  dispose() {
    this.listeners = [];
  }
}

class Disposable {
  constructor(dispose) {
    this.dispose = dispose;
  }
  static from(...items) {
    return new Disposable(() => items.forEach((item) => item.dispose()));
  }
}

class CancellationTokenSource {
  constructor() {
    this.token = { isCancellationRequested: false, onCancellationRequested: () => ({ dispose() {} }) };
  }
  cancel() {}
  dispose() {}
}

class CodeActionKind {
  constructor(value) {
    this.value = value;
  }
  append(part) {
    return new CodeActionKind([this.value, part].filter(Boolean).join("."));
  }
}
for (const [name, value] of Object.entries({ Empty: "", QuickFix: "quickfix", Refactor: "refactor", Source: "source" })) {
  CodeActionKind[name] = new CodeActionKind(value);
}

class Uri {
  constructor(path) {
    Object.assign(this, { scheme: "file", path, fsPath: path });
  }
  static parse(text) {
    return new Uri(text.replace("file://", ""));
  }
  static file(path) {
    return new Uri(path);
  }
  toString() {
    return `file://${this.path}`;
  }
}

const documents = request.documents.map(({ path, text }) => ({
  uri: new Uri(path),
  languageId: "dsd",
  version: 1,
  isClosed: false,
  getText: () => text,
}));
const channel = {
  append: (text) => seen.output.push(text),
  appendLine: (text) => seen.output.push(text),
  show() {},
  dispose() {},
};
const say = (text) => {
  seen.messages.push(text);
  return Promise.resolve(undefined);
};
const status = {
  dispose() {},
  set text(value) {
    seen.status.push(value);
  },
};
const vscode = withDefaults({
  Position,
  Range,
  Uri,
  Diagnostic,
  TabInputText,
  EventEmitter,
  Disposable,
  CancellationTokenSource,
  CodeActionKind,
  version: "1.91.0",
  LanguageStatusSeverity: { Information: 0, Warning: 1, Error: 2 },
  window: withDefaults({
    createOutputChannel: () => channel,
    showWarningMessage: say,
    showErrorMessage: say,
    showInformationMessage: say,
    tabGroups: {
      all: [{ tabs: documents.map((document) => ({ input: new TabInputText(document.uri) })) }],
      onDidChangeTabs: () => ({ dispose() {} }),
    },
    visibleTextEditors: documents.map((document) => ({ document })),
    activeTextEditor: documents.length ? { document: documents[0] } : undefined,
  }),
  commands: withDefaults({
    registerCommand: (name, run) => {
      commands.set(name, run);
      seen.commands.push(name);
      return { dispose: () => commands.delete(name) };
    },
  }),
  languages: withDefaults({
    createLanguageStatusItem: () => status,
    match: (selector, document) => (document.languageId === "dsd" ? 10 : 0),
    createDiagnosticCollection: () => ({
      set: (uri, list) => {
        seen.diagnostics[uri.fsPath] = list.map(({ code, range }) => [code?.value ?? code, range.start.line]);
      },
      delete() {},
      clear() {},
      dispose() {},
    }),
  }),
  workspace: withDefaults({
    isTrusted: request.trusted,
    textDocuments: documents,
    notebookDocuments: [],
    workspaceFolders: undefined,
    getConfiguration: (section) => ({
      get: (key, otherwise) => request.settings[`${section}.${key}`] ?? otherwise,
      inspect: () => undefined,
    }),
  }),
  env: withDefaults({ language: "en", appName: "a stand-in" }),
});

const load = Module._load;
Module._load = (name, ...rest) => (name === "vscode" ? vscode : load(name, ...rest));

async function until(isDone, seconds) {
  const end = Date.now() + 1000 * seconds;
  while (!isDone() && Date.now() < end) await new Promise((go) => setTimeout(go, 20));
}

async function main() {
  const extension = require(request.bundle);
  await extension.activate({ subscriptions: [] });
  for (let count = 0; count < request.restarts; count++) await commands.get("dsd.restart")();
  await until(() => request.waitFor.every((path) => (seen.diagnostics[path] ?? []).length > 0), 20);
  await extension.deactivate();
  await new Promise((done) => process.stdout.write(JSON.stringify(seen), done));
}

main().then(
  () => process.exit(0),
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);

/** Starts the language server for .dsd files, says in the status area how it is, and restarts it on demand. */

import * as vscode from "vscode";
import { LanguageClient, State, type LanguageClientOptions, type ServerOptions } from "vscode-languageclient/node";
import { findExecutable } from "./executable";

const LANGUAGE = "dsd";
const INSTALL = "pip install 'dsd-lang[lsp]'";

let client: LanguageClient | undefined;
let output: vscode.OutputChannel;
let status: vscode.LanguageStatusItem;
let watcher: vscode.FileSystemWatcher;
let hasSaidMissing = false;
let working: Promise<void> = Promise.resolve();

/** Called by VS Code when the first schedule is opened. */
export async function activate(context: vscode.ExtensionContext): Promise<void> {
  output = vscode.window.createOutputChannel("dsd");
  status = vscode.languages.createLanguageStatusItem("dsd.server", LANGUAGE);
  status.name = "dsd language server";
  status.command = { command: "dsd.restart", title: "Restart" };
  watcher = vscode.workspace.createFileSystemWatcher("**/{*.dsd,pyproject.toml}"); // what open schedules depend on
  context.subscriptions.push(
    output,
    status,
    watcher,
    vscode.commands.registerCommand("dsd.restart", () => {
      hasSaidMissing = false;
      return inTurn(restart);
    }),
    vscode.commands.registerCommand("dsd.showOutput", () => output.show()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => inTurn(restart)),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (["dsd.server", "dsd.model"].some((section) => event.affectsConfiguration(section))) {
        return inTurn(restart);
      }
      return undefined;
    }),
  );
  await inTurn(start);
}

/** Called by VS Code at the end. */
export async function deactivate(): Promise<void> {
  await inTurn(stop);
}

/** One start or stop after the other, whatever is asked for meanwhile. */
function inTurn(step: () => Promise<void>): Promise<void> {
  working = working.then(step, step);
  return working;
}

async function restart(): Promise<void> {
  await stop();
  await start();
}

async function start(): Promise<void> {
  if (!vscode.workspace.isTrusted) {
    show("not started: the workspace is not trusted", vscode.LanguageStatusSeverity.Information);
    return;
  }
  const settings = vscode.workspace.getConfiguration("dsd");
  const name = settings.get<string>("server.path") || "dsd-lsp";
  const command = findExecutable(name, {
    folders: (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath),
    environment: process.env,
    platform: process.platform,
  });
  if (command === undefined) {
    sayMissing(name);
    return;
  }
  const server: ServerOptions = { command, args: settings.get<string[]>("server.args") ?? [] };
  const options: LanguageClientOptions = {
    documentSelector: [{ language: LANGUAGE }],
    synchronize: { fileEvents: watcher },
    outputChannel: output,
    initializationOptions: { model: settings.get<string>("model") || null },
  };
  client = new LanguageClient("dsd", "dsd language server", server, options);
  client.onDidChangeState((event) => showState(event.newState, command));
  try {
    await client.start();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    output.appendLine(`${command} could not be started: ${reason}`);
    show("not running", vscode.LanguageStatusSeverity.Error, "could not be started: see its output");
  }
}

async function stop(): Promise<void> {
  const running = client;
  client = undefined;
  if (running?.isRunning()) {
    await running.stop();
  }
}

function showState(state: State, command: string): void {
  if (state === State.Running) {
    show("running", vscode.LanguageStatusSeverity.Information, command);
  } else if (state === State.Starting) {
    show("starting", vscode.LanguageStatusSeverity.Information, command);
  } else {
    show("stopped", vscode.LanguageStatusSeverity.Warning, command);
  }
  status.busy = state === State.Starting;
}

function show(text: string, severity: vscode.LanguageStatusSeverity, detail = ""): void {
  status.text = `dsd-lsp: ${text}`;
  status.detail = detail;
  status.severity = severity;
}

/** One message, not one for each file; said again after an explicit restart. */
function sayMissing(name: string): void {
  show("not found", vscode.LanguageStatusSeverity.Error, INSTALL);
  output.appendLine(`the language server \`${name}\` was not found; install it with: ${INSTALL}`);
  if (hasSaidMissing) {
    return;
  }
  hasSaidMissing = true;
  const message =
    `The dsd language server \`${name}\` was not found, so there is colouring but no checking. ` +
    `Install it with \`${INSTALL}\`, or set \`dsd.server.path\`.`;
  void vscode.window.showWarningMessage(message, "Copy the Command", "Open Settings").then((choice) => {
    if (choice === "Copy the Command") {
      return vscode.env.clipboard.writeText(INSTALL);
    }
    if (choice === "Open Settings") {
      return vscode.commands.executeCommand("workbench.action.openSettings", "dsd.server.path");
    }
    return undefined;
  });
}

/** A server's name and where to look in, the file to run out: no process is started to find out. */

import * as fs from "node:fs";
import * as path from "node:path";

const VIRTUAL_ENVIRONMENTS = [".venv", "venv"];

export interface Places {
  /** Folders of the workspace, none while it is not trusted. */
  readonly folders: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
}

/** The first file that can be run, or undefined. A name with a separator in it is taken as it is. */
export function findExecutable(name: string, places: Places): string | undefined {
  return candidates(name, places).find((candidate) => isExecutable(candidate, places.platform));
}

function candidates(name: string, places: Places): string[] {
  const isWindows = places.platform === "win32";
  const names = isWindows && !/\.(exe|cmd|bat)$/i.test(name) ? [".exe", ".cmd", ".bat"].map((end) => name + end) : [name];
  if (name.startsWith("~/")) {
    const home = places.environment["HOME"] ?? "";
    return names.map((each) => path.join(home, each.slice(2)));
  }
  if (path.isAbsolute(name)) {
    return names;
  }
  if (/[\\/]/.test(name)) {
    return places.folders.flatMap((folder) => names.map((each) => path.resolve(folder, each)));
  }
  const scripts = isWindows ? "Scripts" : "bin";
  const near = places.folders.flatMap((folder) => VIRTUAL_ENVIRONMENTS.map((each) => path.join(folder, each, scripts)));
  const onPath = (places.environment["PATH"] ?? places.environment["Path"] ?? "").split(isWindows ? ";" : ":");
  return [...near, ...onPath.filter(Boolean)].flatMap((folder) => names.map((each) => path.join(folder, each)));
}

function isExecutable(file: string, platform: NodeJS.Platform): boolean {
  try {
    fs.accessSync(file, platform === "win32" ? fs.constants.F_OK : fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false; // not there, or not to be run: the next place is looked at
  }
}

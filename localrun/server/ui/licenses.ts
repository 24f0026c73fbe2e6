import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Plugin } from "vite";

/** Write `licenses.txt`: the licences of all packages that are in the bundle. */
export function licenses(): Plugin {
  return {
    name: "licenses",
    generateBundle(_, bundle) {
      const folders = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== "chunk") continue;
        for (const id of Object.keys(chunk.modules)) {
          const folder = packageFolder(id);
          if (folder) folders.add(folder);
        }
      }
      const texts = [...folders].sort().map(describe);
      this.emitFile({ type: "asset", fileName: "licenses.txt", source: `${HEAD}\n\n${texts.join(`\n\n${"-".repeat(78)}\n\n`)}\n` });
    },
  };
}

const HEAD = "The web page of localrun contains parts of these packages.";

function packageFolder(id: string): string | null {
  const found = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.replace(/^\0/, "").replace(/\?.*$/, ""));
  return found?.[1] ?? null;
}

function describe(folder: string): string {
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf-8")) as { name: string; version: string; license?: string };
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)(\.|$)/i.test(name));
  if (!file) throw new Error(`${about.name} has no licence file in ${dirname(folder)}`);
  return `${about.name} ${about.version} (${about.license ?? "see below"})\n\n${readFileSync(join(folder, file), "utf-8").trim()}`;
}

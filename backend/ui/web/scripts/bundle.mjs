// Builds the bundle into a folder. The same sources and the same packages give
// the same bytes: names carry the hash of the content, and nothing carries a
// path, a time or the name of a machine.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export const web = fileURLToPath(new URL("..", import.meta.url));
export const dist = join(web, "..", "dist");

/** What a browser has to load, uncompressed, may not be more than this. */
export const budget = 150_000;

const shipped = ["preact", "@preact/signals", "@preact/signals-core"];

export async function bundle(folder) {
  const result = await build({
    absWorkingDir: web,
    entryPoints: ["src/main.tsx"],
    bundle: true,
    minify: true,
    format: "iife",
    target: ["chrome123", "firefox121", "safari17.5"],
    jsx: "automatic",
    jsxImportSource: "preact",
    charset: "utf8",
    legalComments: "none",
    outdir: "out",
    write: false,
    logLevel: "warning",
  });

  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "assets"), { recursive: true });
  const sizes = {};
  const put = (name, extension, content) => {
    const hash = createHash("sha256").update(content).digest("hex").slice(0, 12);
    const path = `assets/${name}-${hash}.${extension}`;
    writeFileSync(join(folder, path), content);
    sizes[path] = Buffer.byteLength(content);
    return `/${path}`;
  };
  const output = (extension) => result.outputFiles.find((f) => f.path.endsWith(extension)).contents;
  const names = {
    script: put("app", "js", output(".js")),
    style: put("app", "css", output(".css")),
    icon: put("icon", "svg", readFileSync(join(web, "src/icon.svg"))),
  };
  const html = readFileSync(join(web, "src/index.html"), "utf8").replace(
    /\{\{(\w+)\}\}/g,
    (_, key) => names[key],
  );
  writeFileSync(join(folder, "index.html"), html);
  sizes["index.html"] = Buffer.byteLength(html);

  const licences = shipped.map((name) => {
    const at = join(web, "node_modules", name);
    const { version } = JSON.parse(readFileSync(join(at, "package.json"), "utf8"));
    return `${name} ${version}\n\n${readFileSync(join(at, "LICENSE"), "utf8").trim()}\n`;
  });
  writeFileSync(
    join(folder, "LICENCES.txt"),
    `The bundle contains these packages.\n\n${licences.join("\n\n")}`,
  );

  const total = Object.values(sizes).reduce((a, b) => a + b, 0);
  if (total > budget) throw new Error(`the bundle has ${total} bytes, its budget is ${budget}`);
  return { sizes, total };
}

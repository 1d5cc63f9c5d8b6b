// Bundles the tests of a folder and runs them with Node's test runner.
// Usage: node scripts/test.mjs FOLDER [ARGUMENTS OF node --test …]
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { web } from "./bundle.mjs";

const [folder, ...rest] = process.argv.slice(2);
const outdir = join(web, "node_modules", ".throughline", folder);
rmSync(outdir, { recursive: true, force: true });
mkdirSync(outdir, { recursive: true });
const entryPoints = readdirSync(join(web, folder))
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => join(web, folder, name));
await build({
  entryPoints,
  bundle: true,
  platform: "node",
  format: "esm",
  outExtension: { ".js": ".mjs" },
  target: "node20",
  packages: "external",
  sourcemap: "inline",
  outdir,
  logLevel: "warning",
});
const compiled = readdirSync(outdir).map((name) => join(outdir, name));
const child = spawn(
  process.execPath,
  [
    "--enable-source-maps",
    "--test",
    ...(folder === "browser" ? ["--test-concurrency=1"] : []),
    ...rest,
    ...compiled,
  ],
  {
    cwd: web,
    stdio: "inherit",
  },
);
child.on("exit", (code, signal) => {
  process.exitCode = code ?? (signal ? 1 : 0);
});

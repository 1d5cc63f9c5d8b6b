// Builds the bundle anew and compares it, byte for byte, with the committed one.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle, dist } from "./bundle.mjs";

const fresh = mkdtempSync(join(tmpdir(), "throughline-ui-"));
const files = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
try {
  const { total } = await bundle(fresh);
  const [wanted, got] = [files(fresh), files(dist)];
  const stale = [...new Set([...wanted, ...got])].filter(
    (path) =>
      !wanted.includes(path) ||
      !got.includes(path) ||
      !readFileSync(join(fresh, path)).equals(readFileSync(join(dist, path))),
  );
  if (stale.length > 0) {
    process.stderr.write(
      `backend/ui/dist is not what the sources give: ${stale.join(", ")}. Run npm run build and commit it.\n`,
    );
    process.exitCode = 1;
  } else {
    process.stdout.write(`backend/ui/dist is current, ${total} bytes\n`);
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

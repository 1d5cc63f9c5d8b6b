import { budget, bundle, dist } from "./bundle.mjs";

const { sizes, total } = await bundle(dist);
for (const [path, size] of Object.entries(sizes))
  process.stdout.write(`${String(size).padStart(8)}  ${path}\n`);
process.stdout.write(`${String(total).padStart(8)}  of ${budget}\n`);

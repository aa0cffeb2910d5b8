// node test/run.mjs unit|browser|shots|pan [ARGUMENTS]: bundles the tests of that folder, which are TypeScript, and runs them with node's own runner.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [folder, ...rest] = process.argv.slice(2);
const out = join(here, "..", ".test", folder);
const program = existsSync(join(here, `${folder}.ts`)); // one file that is run, not tests
const tests = program ? [`${folder}.ts`] : readdirSync(join(here, folder)).filter((name) => name.endsWith(".test.ts")).map((name) => join(folder, name));
rmSync(out, { recursive: true, force: true });
await build({
  entryPoints: tests.map((name) => join(here, name)),
  outdir: out, outExtension: { ".js": ".mjs" },
  bundle: true, platform: "node", format: "esm", target: "node18", packages: "external", logLevel: "warning",
  jsx: "automatic", jsxImportSource: "preact",
});
const files = tests.map((name) => join(out, basename(name).replace(/\.ts$/, ".mjs")));
const { status } = spawnSync(process.execPath, program ? [...files, ...rest] : ["--test", ...rest, ...files], { stdio: "inherit", cwd: join(here, "..") });
process.exit(status ?? 1);

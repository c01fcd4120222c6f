// npm run sbom: what the package brings along when it is installed, as CycloneDX, to standard output. `npm sbom --omit dev` leaves out what
// some tool of the build needs as well, esbuild for one: here everything is asked for, and what no dependency leads to is left out.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const args = [
  'sbom',
  '--sbom-format',
  'cyclonedx',
  '--sbom-type',
  'library',
  '--package-lock-only',
  '--workspaces=false',
];
const { status, stdout, stderr, error } = spawnSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
if (status !== 0) {
  console.error(`npm ${args.join(' ')} failed:\n${error ?? ''}${stdout}${stderr}`);
  process.exit(1);
}
const bill = JSON.parse(stdout);
const needs = new Map(bill.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
const own = bill.metadata.component['bom-ref'];
const nameOf = (ref) => ref.replace(/^.*\|/, '').replace(/(?<=.)@.*$/, '');
const direct = needs.get(own).filter((ref) => nameOf(ref) in dependencies);
const kept = new Set([own, ...direct]);
for (const ref of kept) if (ref !== own) for (const other of needs.get(ref) ?? []) kept.add(other);

bill.components = bill.components.filter((component) => kept.has(component['bom-ref']));
bill.dependencies = bill.dependencies
  .filter(({ ref }) => kept.has(ref))
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: ref === own ? direct : dependsOn }));
console.log(JSON.stringify(bill, undefined, 2));

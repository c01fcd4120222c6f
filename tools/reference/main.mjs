// npm run docs:reference -- [folder] [--gaps]: writes the reference of all that programs import, from the docstrings of
// the built declarations, into a folder (default: build/reference, which git ignores); with --gaps it writes nothing but what has none.
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gapsOf, readReference } from './reference.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { gaps: { type: 'boolean', default: false } },
});
if (positionals.length > 1) {
  console.error(`One folder, not ${positionals.length}: npm run docs:reference -- <folder>`);
  process.exit(2);
}
const { app, project } = await readReference(root);
const gaps = gapsOf(project);
if (values.gaps) console.log(gaps.join('\n'));
else {
  const folder = resolve(positionals[0] ?? `${root}build/reference`);
  await app.generateDocs(project, folder);
  console.error(`${folder}: ${gaps.length} gaps (--gaps lists them)`);
}

/** The table of docs/nodes-costs.md: what a router loses, and this package does not, on the same bus. `--write` puts it into the page. */
import { readFileSync, writeFileSync } from 'node:fs';
import { compareCarriers } from '../test/unit/node/compare.ts';

const PAGE = new URL('../docs/nodes-costs.md', import.meta.url);
const PLACE = /(<!-- table -->\n)(?:\n(?:\|.*\n)+)?/;

const table = await compareCarriers();
if (process.argv.includes('--write')) {
  const page = readFileSync(PAGE, 'utf8');
  writeFileSync(
    PAGE,
    page.replace(PLACE, (_, mark: string) => `${mark}\n${table}`),
  );
} else process.stdout.write(table);
process.exit(0);

// The part of docs/nodes-costs.md that the bench has written down.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type NodesFound, nodesPage } from './found.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const page = join(root, 'docs/nodes-costs.md');
const results = join(root, 'bench/results/nodes.jsonl');

const BEGIN = '<!-- What follows is made by npm run docs:nodes. -->\n';
const END = '<!-- So far. -->\n';

/** The page with what the bench has found. */
export function pageWithResults(): string {
  const text = readFileSync(page, 'utf8');
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${page} has no place for the bench's results`);
  const found = readFileSync(results, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as NodesFound);
  return `${before}${BEGIN}${nodesPage(found)}\n${END}${after}`;
}

/** Writes what bench/results/nodes.jsonl has into docs/nodes-costs.md: `npm run docs:nodes`. */
import { writeFileSync } from 'node:fs';
import { page, pageWithResults } from '../bench/nodes/page.ts';

writeFileSync(page, pageWithResults());

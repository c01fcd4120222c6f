/** Writes docs/performance.md and its plot from bench/results: `npm run docs:performance`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { MARK, madePart, madePicture, page, picture } from '../bench/page/page.ts';

const byHand = readFileSync(page, 'utf8').split(MARK)[0]!;
writeFileSync(page, byHand + MARK + madePart());
writeFileSync(picture, madePicture());

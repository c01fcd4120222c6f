/** The pages of this checkout: those of the top, all below docs/, and the READMEs that stand with what they are about. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './command.ts';

const isPage = (name: string): boolean => name.endsWith('.md');

/** Paths below the root. */
export const pages: readonly string[] = [
  ...readdirSync(root).filter(isPage),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter(isPage)
    .sort()
    .map((name) => join('docs', name)),
  'bench/README.md',
  'kernel/fixed/README.md',
  'packages/lab-kernel/README.md',
];

export const pageText = (page: string): string => readFileSync(join(root, page), 'utf8');

/** A fenced block of a page. */
export interface Fence {
  readonly page: string;
  /** Of the block's first line of text, from 1. */
  readonly line: number;
  /** What stands behind the three backticks: `ts`, `sh`, `ts fragment`. */
  readonly info: string;
  readonly text: string;
}

/** The fenced blocks of a page, in order; those in a list without the list's indentation. */
export function fencesOf(page: string): Fence[] {
  const text = pageText(page);
  return [...text.matchAll(/^( *)```([^\n]*)\n(.*?)^\1```$/gms)].map(({ index, 1: indent, 2: info, 3: block }) => ({
    page,
    line: text.slice(0, index).split('\n').length + 1,
    info: info!.trim(),
    text: block!.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));
}

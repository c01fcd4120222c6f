/** The blocks of TypeScript in the pages. */
import { type Fence, fencesOf, pages, pageText } from './pages.ts';

export interface Snippet extends Fence {
  /** A whole program, a part of one, or a file that has a name in its page. */
  readonly kind: 'program' | 'fragment' | 'file';
  /** What a fragment stands on: one line. */
  readonly before: string;
  /** A name that no other one has. */
  readonly file: string;
}

export const snippets: readonly Snippet[] = pages.flatMap((page) =>
  fencesOf(page)
    .filter(({ info }) => /^ts\b/.test(info))
    .map((fence) => ({ ...fence, kind: kindOf(fence), before: beforeOf(fence), file: fileOf(fence) })),
);

function kindOf({ info, page, line }: Fence): Snippet['kind'] {
  const [, word] = info.split(' ');
  if (word === undefined) return 'program';
  if (word === 'fragment') return 'fragment';
  if (word.endsWith('.ts')) return 'file';
  throw new Error(`${page}:${line}: \`\`\`${info} is neither a program, nor a fragment, nor a file`);
}

/** The comment on the line before the block. */
function beforeOf({ page, line }: Fence): string {
  const words = pageText(page).split('\n')[line - 3] ?? '';
  return /^<!-- before: (.*) -->$/.exec(words)?.[1] ?? '';
}

function fileOf({ page, line }: Fence): string {
  return `${page.replaceAll('/', '-')}-${line}.ts`;
}

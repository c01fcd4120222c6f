/** What the stages of a review have found out, kept by what it depends on: an interrupted review goes on from there. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../lab/paths.ts';

/** Where reviews keep trees, kernels and results. `lab clean` removes it. */
export const reviewsDir = () => join(cacheDir(), 'reviews');

/** Names what depends on these texts, and on nothing else. */
export function keyOf(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}\n${part}\n`);
  return hash.digest('hex').slice(0, 16);
}

/** The result that a stage left, if it is there and whole. */
export function kept<T>(name: string, key: string): T | undefined {
  try {
    return (JSON.parse(readFileSync(resultFile(name, key), 'utf8')) as { result: T }).result;
  } catch {
    return undefined;
  }
}

const resultFile = (name: string, key: string) => join(reviewsDir(), `${name}-${key}.json`);

/** Keeps a stage's result. It appears by one rename: what a killed process left is no result. */
export function keep(name: string, key: string, result: unknown): void {
  mkdirSync(reviewsDir(), { recursive: true });
  const path = resultFile(name, key);
  const half = `${path}.${process.pid}`;
  try {
    writeFileSync(half, JSON.stringify({ result }));
    renameSync(half, path);
  } finally {
    rmSync(half, { force: true });
  }
}

/** Guest memory as runs of pages that are not zero: u64 bytes of memory, then u64 first page, u64 pages, the pages. */

import { type GuestMemory, PAGE_SIZE } from '../kvm/guest-memory.ts';
import { StateFormatError } from './errors.ts';

/** What `packPages` takes at most of a machine of this size. */
const MAX_MEMORY = 2 ** 46;

interface Run {
  first: number;
  pages: number;
}

/** The body of a memory's section. */
export function packPages(memory: GuestMemory): Uint8Array {
  const { bytes } = memory;
  const words = new BigUint64Array(bytes.buffer);
  const runs: Run[] = [];
  for (let page = 0; page < memory.size / PAGE_SIZE; page++) {
    if (isZero(words, page)) continue;
    const last = runs.at(-1);
    if (last && last.first + last.pages === page) last.pages++;
    else runs.push({ first: page, pages: 1 });
  }
  const body = new Uint8Array(runs.reduce((sum, { pages }) => sum + 16 + pages * PAGE_SIZE, 8));
  const view = new DataView(body.buffer);
  view.setBigUint64(0, BigInt(memory.size), true);
  let at = 8;
  for (const { first, pages } of runs) {
    view.setBigUint64(at, BigInt(first), true);
    view.setBigUint64(at + 8, BigInt(pages), true);
    body.set(bytes.subarray(first * PAGE_SIZE, (first + pages) * PAGE_SIZE), at + 16);
    at += 16 + pages * PAGE_SIZE;
  }
  return body;
}

function isZero(words: BigUint64Array, page: number): boolean {
  const start = page * (PAGE_SIZE / 8);
  for (let at = start; at < start + PAGE_SIZE / 8; at++) if (words[at] !== 0n) return false;
  return true;
}

/** A memory's size, and how to fill one of that size. Checks everything before it returns. Throws StateFormatError. */
export function unpackPages(body: Uint8Array): { size: number; fill(memory: GuestMemory): void } {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const wrong = (what: string) => new StateFormatError(`a memory's pages: ${what}`);
  if (body.length < 8) throw wrong('no size');
  const size = Number(view.getBigUint64(0, true));
  if (size <= 0 || size % PAGE_SIZE !== 0 || size > MAX_MEMORY) throw wrong(`its size is ${size} bytes`);
  const total = size / PAGE_SIZE;
  const runs: (Run & { at: number })[] = [];
  let at = 8;
  let next = 0;
  while (at < body.length) {
    if (at + 16 > body.length) throw wrong('a run is cut off');
    const first = Number(view.getBigUint64(at, true));
    const pages = Number(view.getBigUint64(at + 8, true));
    if (first < next || pages < 1 || first + pages > total)
      throw wrong("a run lies outside, or begins before another's end");
    if (at + 16 + pages * PAGE_SIZE > body.length) throw wrong('a run is cut off');
    runs.push({ first, pages, at: at + 16 });
    next = first + pages;
    at += 16 + pages * PAGE_SIZE;
  }
  return {
    size,
    fill(memory) {
      for (const run of runs)
        memory.write(run.first * PAGE_SIZE, body.subarray(run.at, run.at + run.pages * PAGE_SIZE));
    },
  };
}

/** Where the members of a header's structs lie, for programs of 64 and of 32 bits, as the compiler lays them out. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runBound } from '../../lab/process.ts';

/** Byte offsets by `struct.member`, and sizes by `sizeof struct`. */
export type Layouts = Record<string, number>;

/** Both layouts, or why the header does not compile. */
export type HeaderLayouts = { ok: true; bits64: Layouts; bits32: Layouts } | { ok: false; error: string };

/**
 * Compiles the user space header of a tree. No C library is needed for it, and for 32 bits none may be there: nothing but
 * the tree's own headers is read, and what the kernel's own words mean to user space is said here.
 *
 * @param symbols what the series' Kconfig adds: a header that asks for them shows what it hides
 */
export async function headerLayouts(tree: string, header: string, symbols: readonly string[]): Promise<HeaderLayouts> {
  const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-uapi-'));
  try {
    // `make headers_install` takes these includes out.
    mkdirSync(join(work, 'linux'));
    for (const name of ['compiler.h', 'compiler_types.h']) writeFileSync(join(work, 'linux', name), '');
    writeFileSync(join(work, 'layout.c'), `#include <${header}>\n`);
    const bits64 = await layoutsOf(tree, work, symbols, '-m64');
    if (typeof bits64 === 'string') return { ok: false, error: bits64 };
    const bits32 = await layoutsOf(tree, work, symbols, '-m32');
    if (typeof bits32 === 'string') return { ok: false, error: bits32 };
    return { ok: true, bits64, bits32 };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function layoutsOf(
  tree: string,
  work: string,
  symbols: readonly string[],
  mode: string,
): Promise<Layouts | string> {
  const places = ['arch/x86/include/uapi', 'arch/x86/include/generated/uapi', 'include/uapi', 'include/generated/uapi'];
  const object = join(work, 'layout.o');
  const args = [mode, '-c', '-O0', '-gdwarf-4', '-fno-eliminate-unused-debug-types', '-ffreestanding', '-nostdinc'];
  // A bool in such a header is an error of its own; here its place is asked for.
  const words = ['-D__user=', '-Dbool=_Bool', ...symbols.map((symbol) => `-DCONFIG_${symbol}`)];
  const includes = [work, ...places.map((place) => join(tree, place))].flatMap((place) => ['-I', place]);
  const built = await runBound('gcc', [...args, ...words, ...includes, '-o', object, join(work, 'layout.c')]);
  if (built.code !== 0) return built.output.split('\n').find((line) => line.includes('error:')) ?? built.output.trim();
  const lines: string[] = [];
  const read = await runBound('readelf', ['--wide', '--debug-dump=info', object], {
    onLine: (line) => lines.push(line),
  });
  if (read.code !== 0) return `readelf ended with ${read.code}`;
  return readDwarf(lines);
}

interface Entry {
  tag: string;
  depth: number;
  name?: string;
  type?: string | undefined;
  size?: number;
  at?: number;
  children: Entry[];
}

/** Reads what `readelf --debug-dump=info` prints of a file with one translation unit. */
export function readDwarf(lines: readonly string[]): Layouts {
  const byOffset = new Map<string, Entry>();
  const stack: Entry[] = [];
  const roots: Entry[] = [];
  let entry: Entry | undefined;
  for (const line of lines) {
    const begins = /^ *<(\w+)><(\w+)>: Abbrev Number: \d+ \((\w+)\)/.exec(line);
    if (begins) {
      entry = { tag: begins[3]!, depth: Number.parseInt(begins[1]!, 16), children: [] };
      byOffset.set(begins[2]!, entry);
      while (stack.length > 0 && stack.at(-1)!.depth >= entry.depth) stack.pop();
      (stack.at(-1)?.children ?? roots).push(entry);
      stack.push(entry);
      continue;
    }
    const attribute = /^ +<\w+> +DW_AT_(\w+) *: (.*)$/.exec(line);
    if (!attribute || !entry) continue;
    // Newer ones say the form first: `(data1) 16`, `(strp) (offset: 0x12): kvm_run`.
    const value = attribute[2]!.trim().replace(/^\([a-z]\w*\) */, '');
    if (attribute[1] === 'name') entry.name = value.replace(/^\((?:indirect|alt indirect|offset).*?\): /, '');
    else if (attribute[1] === 'type') entry.type = /<0x(\w+)>/.exec(value)?.[1];
    else if (attribute[1] === 'byte_size') entry.size = Number(value);
    else if (attribute[1] === 'data_member_location') entry.at = Number(value);
  }
  const layouts: Layouts = {};
  for (const { tag, name, size, children } of [...byOffset.values()]) {
    if (tag !== 'DW_TAG_structure_type' || name === undefined || size === undefined) continue;
    layouts[`sizeof ${name}`] = size;
    members(children, name, 0, byOffset, layouts);
  }
  return layouts;
}

/** Structs and unions without a name belong to the one that they stand in. */
function members(children: readonly Entry[], path: string, base: number, all: Map<string, Entry>, into: Layouts): void {
  for (const { tag, name, type, at = 0 } of children) {
    if (tag !== 'DW_TAG_member') continue;
    const of = type === undefined ? undefined : all.get(type);
    const inner = of && /^DW_TAG_(structure|union)_type$/.test(of.tag) && of.name === undefined ? of : undefined;
    const here = name === undefined ? path : `${path}.${name}`;
    if (name !== undefined) into[here] = base + at;
    if (inner) members(inner.children, here, base + at, all, into);
  }
}

/** One member, or size, that is not the same for both. */
export interface LayoutDifference {
  name: string;
  bits64: number;
  bits32: number;
}

/** What lies elsewhere for 32 bits; `before` has what did so before the series. */
export function layoutDifferences(now: HeaderLayouts, before: HeaderLayouts | null): LayoutDifference[] {
  if (!now.ok) return [];
  const old = before?.ok ? before : null;
  return Object.entries(now.bits64).flatMap(([name, bits64]) => {
    const bits32 = now.bits32[name];
    if (bits32 === undefined || bits32 === bits64) return [];
    const was = old?.bits64[name];
    if (was !== undefined && was !== old!.bits32[name]) return [];
    return [{ name, bits64, bits32 }];
  });
}

/** What existed before and lies elsewhere now: the ABI is broken for programs that exist. */
export function movedMembers(now: HeaderLayouts, before: HeaderLayouts): LayoutDifference[] {
  if (!now.ok || !before.ok) return [];
  return Object.entries(before.bits64).flatMap(([name, was]) => {
    const is = now.bits64[name];
    return is === undefined || is === was ? [] : [{ name, bits64: is, bits32: was }];
  });
}

/** What a kernel tree's Kconfig and Makefile say, as far as a build of it needs it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where a symbol is defined, and what it hangs on. */
export interface Definition {
  /** The Kconfig file, relative to the tree. */
  file: string;
  /** The conditions of its `depends on` lines. */
  dependsOn: string[];
}

/** The symbols that arch/x86/kvm/Kconfig defines, without `CONFIG_`. */
export function kvmSymbols(tree: string): Set<string> {
  return symbolsOf(readFileSync(join(tree, 'arch/x86/kvm/Kconfig'), 'utf8'));
}

function symbolsOf(text: string): Set<string> {
  return new Set([...text.matchAll(/^(?:menu)?config\s+(\w+)\s*$/gm)].map(([, symbol]) => symbol!));
}

/** The tree's version by its Makefile, such as `7.1.0-rc3`; empty if it does not say. */
export function treeVersion(tree: string): string {
  let makefile: string;
  try {
    makefile = readFileSync(join(tree, 'Makefile'), 'utf8');
  } catch {
    return '';
  }
  const part = (name: string) => new RegExp(`^${name}[ \\t]*=[ \\t]*(\\S*)`, 'm').exec(makefile)?.[1] ?? '';
  const numbers = ['VERSION', 'PATCHLEVEL', 'SUBLEVEL'].map(part).filter((text) => text !== '');
  return numbers.length < 2 ? '' : numbers.join('.') + part('EXTRAVERSION');
}

/** Where the tree defines a symbol; several places may. Reads every Kconfig file: for what is told of a failure. */
export function definitionsOf(tree: string, symbol: string): Definition[] {
  const found: Definition[] = [];
  for (const file of kconfigFiles(tree)) {
    const text = readFileSync(join(tree, file), 'utf8');
    if (!text.includes(symbol)) continue;
    for (const entry of text.split(/^(?=(?:menu)?config\s)/m)) {
      if (/^(?:menu)?config\s+(\w+)\s*$/m.exec(entry)?.[1] !== symbol) continue;
      // A help text may have any words; the entry's own lines stand before it.
      const own = entry.split(/^\s+help\s*$/m, 1)[0]!.replaceAll(/\\\n\s*/g, ' ');
      found.push({ file, dependsOn: [...own.matchAll(/^\s+depends on\s+(.+)$/gm)].map(([, on]) => on!.trim()) });
    }
  }
  return found;
}

function kconfigFiles(tree: string): string[] {
  const files: string[] = [];
  const walk = (dir: string) => {
    for (const entry of readdirSync(join(tree, dir), { withFileTypes: true })) {
      const path = dir === '' ? entry.name : `${dir}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!entry.name.startsWith('.') && !/^arch\/(?!x86(\/|$))|^Documentation$/.test(path)) walk(path);
      } else if (/^Kconfig(\.|$)/.test(entry.name)) {
        files.push(path);
      }
    }
  };
  walk('');
  return files.sort();
}

/** A lab kernel's configuration: this package's fragment, what the caller adds, and what has to come of both. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabBuildError, LabConfigError, LabKernelSourceError } from '../errors.ts';
import { kernelInputs } from './inputs.ts';
import { definitionsOf, kvmSymbols, treeVersion } from './kconfig.ts';
import { defaultSeries, ownConfig } from './own-series.ts';
import { seriesOf } from './series.ts';

/** What a caller adds to the fragment. */
export interface AddedConfig {
  /** Lines as Kconfig reads them. */
  text: string;
  /** By symbol, without `CONFIG_`: its value, `n` for one that is not set, and whether it was named one by one. */
  symbols: ReadonlyMap<string, { value: string; inline: boolean }>;
  /** Of these, what the kernel is of no use without. */
  needed?: readonly string[];
  /** Words for make beside it. */
  make?: readonly string[];
  /** What the compiler notes of KVM's lines is kept beside the image. */
  notes?: boolean;
}

/** Without these the result could not be used as a lab kernel. */
const needed = [
  'KVM_INTEL',
  'KVM_AMD',
  'BLK_DEV_INITRD',
  'SERIAL_8250_CONSOLE',
  'ISO9660_FS',
  'BLK_DEV_SD',
  'VIRTIO_BLK',
  'DEVTMPFS',
];

/** What KVM had in it before it became a symbol of its own. A tree that has the symbol has to have it on. */
const splitOff: Readonly<Record<string, { since: string; without: string }>> = {
  KVM_IOAPIC: { since: '6.17', without: 'KVM_CREATE_IRQCHIP answers ENOTTY' },
  KVM_HYPERV: { since: '6.8', without: 'there is no SynIC' },
  KVM_SMM: { since: '6.2', without: 'no guest enters SMM' },
};

const line = /^(?:CONFIG_)?([A-Za-z0-9_]+)=(.*)$/;
const notSet = /^# CONFIG_([A-Za-z0-9_]+) is not set$/;

/**
 * Reads what `--config` gives: each a fragment's path, or one `CONFIG_X=y`. The last one to name a symbol counts.
 *
 * Throws a LabConfigError.
 */
export function readConfig(given: readonly string[]): AddedConfig {
  const symbols = new Map<string, { value: string; inline: boolean }>();
  const parts: string[] = [];
  for (const one of given) {
    const inline = /^(CONFIG_)?[A-Z0-9_]+=/.test(one);
    const text = inline ? `CONFIG_${one.replace(/^CONFIG_/, '')}` : readFragment(one);
    for (const [index, raw] of text.split('\n').entries()) {
      const off = notSet.exec(raw);
      const set = line.exec(raw);
      if (off) symbols.set(off[1]!, { value: 'n', inline });
      else if (set && set[2] !== '') symbols.set(set[1]!, { value: set[2]!, inline });
      else if (raw.trim() !== '' && !raw.startsWith('#')) {
        throw new LabConfigError(
          `--config ${inline ? one : `${one}:${index + 1}`}: ${JSON.stringify(raw)} sets no symbol`,
          {
            advice: 'Write CONFIG_X=y, =n, =<number> or ="<text>", or `# CONFIG_X is not set`.',
          },
        );
      }
    }
    parts.push(text);
  }
  return { text: parts.join('\n'), symbols };
}

function readFragment(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new LabConfigError(
      `--config ${path}: ${code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`}`,
      { advice: "Give a fragment's path, or one symbol as CONFIG_X=y.", cause: error },
    );
  }
}

/**
 * All that is given to `make allnoconfig`, the last line winning.
 *
 * @param tree the user's, or `undefined` for Debian's
 * @param own what Debian's is patched with
 */
export function configInput(tree: string | undefined, added: AddedConfig, own = defaultSeries): string {
  const fragment = readFileSync(join(kernelInputs(), 'lab.config'), 'utf8');
  const series =
    tree === undefined
      ? ownConfig(kernelInputs(), own)
      : seriesOf(tree).symbols.map((symbol) => `CONFIG_${symbol}=y\n`);
  return [fragment, ...series, added.text].join('\n').replace(/\n*$/, '\n');
}

/**
 * Refuses a configuration that lost what a lab kernel has to have, or what the caller named.
 *
 * @param config the path of the .config that came out
 * @returns what a fragment of the caller's asks for and the tree does not have: one line each
 */
export function checkConfig(config: string, tree: string | undefined, added: AddedConfig): string[] {
  const values = valuesOf(readFileSync(config, 'utf8'));
  const isOn = (symbol: string) => values.get(symbol) === 'y';
  const series = tree ? seriesOf(tree).symbols : ['KVM_DSM_IRQ_FORWARD'];
  const there = tree ? kvmSymbols(tree) : new Set<string>();
  const off = (symbol: string) => added.symbols.get(symbol)?.value === 'n';
  const absent = [
    ...[...needed, ...(added.needed ?? [])].filter((symbol) => !isOn(symbol)),
    ...series.filter((symbol) => !isOn(symbol) && !off(symbol)),
    ...Object.keys(splitOff).filter((symbol) => there.has(symbol) && !isOn(symbol) && !off(symbol)),
  ];
  if (absent.length > 0) throw lacks(absent, tree, added);
  const lost = [...added.symbols].filter(([symbol, { value }]) => !took(value, values.get(symbol)));
  const named = lost.filter(([, { inline }]) => inline).map(([symbol]) => symbol);
  if (named.length > 0 && tree) {
    const asked = named.map((symbol) => `CONFIG_${symbol}=${added.symbols.get(symbol)!.value}`);
    throw new LabConfigError(`${words(tree)} does not take ${asked.join(', ')}:\n${reasons(named, tree)}`, {
      advice: 'Give what it depends on as well, or leave it out.',
    });
  }
  return lost.map(([symbol, { value }]) => `CONFIG_${symbol}=${value} was not taken`);
}

/** Without loadable modules, what is asked for as a module is built in. */
function took(asked: string, got = 'n'): boolean {
  return asked === got || (asked === 'm' && got === 'y');
}

function valuesOf(text: string): Map<string, string> {
  return new Map(
    text.split('\n').flatMap((raw) => (line.test(raw) ? [line.exec(raw)!.slice(1) as [string, string]] : [])),
  );
}

function lacks(absent: readonly string[], tree: string | undefined, added: AddedConfig): Error {
  const message = `the kernel's configuration does not enable ${absent.map((symbol) => `CONFIG_${symbol}`).join(', ')}`;
  const advice = 'Look at what these symbols depend on in the tree, at kernel/lab.config, and at --config.';
  if (!tree) return new LabBuildError(message, { advice });
  const own = absent.filter((symbol) => added.symbols.has(symbol));
  if (own.length === absent.length) {
    return new LabConfigError(`${message}, which --config takes away, and no lab can do without`, {
      advice: 'Leave it on.',
    });
  }
  return new LabKernelSourceError(`${message} in ${words(tree)}:\n${reasons(absent, tree)}`, { advice });
}

function words(tree: string): string {
  const version = treeVersion(tree);
  return version === '' ? tree : `${tree} (Linux ${version})`;
}

function reasons(symbols: readonly string[], tree: string): string {
  return symbols.map((symbol) => `  CONFIG_${symbol} ${reason(symbol, tree)}`).join('\n');
}

function reason(symbol: string, tree: string): string {
  const came = splitOff[symbol] ? `; it came with Linux ${splitOff[symbol].since}` : '';
  const without = splitOff[symbol] ? `; without it ${splitOff[symbol].without}` : '';
  const definitions = definitionsOf(tree, symbol);
  if (definitions.length === 0) return `is in no Kconfig file of the tree${came}`;
  return definitions
    .map(({ file, dependsOn }) => {
      const on = dependsOn.length === 0 ? 'on nothing by itself' : `on ${dependsOn.join(' && ')}`;
      return `is in ${file} and depends ${on}${without}`;
    })
    .join('; ');
}

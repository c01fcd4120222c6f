/** What of the series a kernel tree has, by the symbols that its Kconfig defines. */
import { kvmSymbols } from './kconfig.ts';

/** What of the series a tree has. */
export interface TreeSeries {
  /** The symbols that switch it on, without `CONFIG_`; none in a tree without it. */
  symbols: readonly string[];
  /** The profiles that such a tree speaks, for people. */
  profiles: string;
}

/** The first whose symbols are all there. */
const known: readonly TreeSeries[] = [
  { symbols: ['KVM_DSM_IRQ_FORWARD', 'KVM_DSM'], profiles: 'gvm-main' },
  { symbols: ['KVM_DSM_IRQ_FORWARD'], profiles: 'rfc-v2 or fixed-v1' },
  { symbols: ['KVM_DSM'], profiles: 'gvm-old' },
];

export function seriesOf(tree: string): TreeSeries {
  const there = kvmSymbols(tree);
  const found = known.find(({ symbols }) => symbols.every((symbol) => there.has(symbol)));
  return found ?? { symbols: [], profiles: '' };
}

/** A trace as one page for a browser, which asks nothing of anybody: the page that was built, and the trace in it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { packageRoot } from '../base/package.ts';
import type { LoadedTrace } from '../picture/file/load.ts';
import type { PictureItem, PictureLane } from '../picture/picture.ts';

/** What stands in the page where the trace belongs. */
const PLACE = '"DATA"';

export function* toHtml(trace: LoadedTrace): Iterable<string> {
  const page = brotliDecompressSync(readFileSync(join(packageRoot, 'dist', 'trace-page.html.br'))).toString();
  const at = page.indexOf(PLACE);
  yield page.slice(0, at);
  // Whatever a guest has written, it ends no element.
  yield JSON.stringify(pageData(trace)).replaceAll('<', '\\u003c');
  yield page.slice(at + PLACE.length);
}

/** Each text once, by its number. */
class Words {
  readonly list: string[] = [];
  readonly #known = new Map<string, number>();

  of(text: string): number {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    this.#known.set(text, this.list.length);
    return this.list.push(text) - 1;
  }
}

/** What tools/trace-page/data.ts describes. */
export function pageData({ head, machines, failure, isCut }: LoadedTrace): object {
  const names = { words: new Words(), kinds: new Words(), modes: new Words(), states: new Words() };
  const lanes = machines.flatMap(({ machine, picture }) => picture.lanes.map((lane) => ({ machine, lane })));
  const numbers = new Map(lanes.map(({ machine, lane }, index) => [`${machine} ${lane}`, index]));
  const laneOf = (machine: number, lane: PictureLane) => numbers.get(`${machine} ${lane}`)!;
  const start = machines.reduce((least, { born }) => (born < least ? born : least), machines[0]?.born ?? 0n);
  const all = machines
    .flatMap(({ machine, born, picture }) => {
      const since = Number(born - start);
      return picture.items.map((item) => ({ machine, ns: since + item.ns, item }));
    })
    .sort((a, b) => a.ns - b.ns);
  const items = { ns: [], lane: [], kind: [], text: [], seq: [] } as Record<string, number[]>;
  const arrows = { item: [], to: [], mode: [], state: [], why: [] } as Record<string, number[]>;
  all.forEach(({ machine, ns, item }, index) => {
    push(items, [
      ns,
      laneOf(machine, item.lane),
      names.kinds.of(kinds[item.kind]),
      names.words.of(item.text),
      item.seq,
    ]);
    for (const [to, mode, state, why] of arrowsOf(item))
      push(arrows, [
        index,
        laneOf(machine, to),
        names.modes.of(mode),
        names.states.of(state),
        why === undefined ? -1 : names.words.of(why),
      ]);
  });
  const message = failure === undefined ? [] : String(failure.message).split('\n');
  return {
    title: `kvm-dsm ${head.package} on ${head.on}, Linux ${head.kernel}, profile ${head.profile}`,
    lanes: lanes.map(({ machine, lane }) => {
      const name = lane === 'host' ? 'host' : `vCPU ${lane}`;
      return machines.length > 1 ? `${machine}: ${name}` : name;
    }),
    kinds: names.kinds.list,
    modes: names.modes.list,
    states: names.states.list,
    words: names.words.list,
    items,
    arrows,
    notes: [...message, ...(isCut ? ['The file ends before its run did.'] : [])],
  };
}

/** Who looks at the page reads these. */
const kinds: Record<PictureItem['kind'], string> = {
  ipi: 'interrupt sent',
  prepares: 'write of ICR2',
  act: 'act of the script',
  word: 'word of the guest',
  exit: 'other exit',
};

/** A value for each list, in the order of its keys. */
function push(lists: Record<string, number[]>, values: readonly number[]): void {
  Object.values(lists).forEach((list, index) => {
    list.push(values[index]!);
  });
}

function* arrowsOf({ ipi }: PictureItem): Iterable<[number, string, string, string | undefined]> {
  for (const { to, state, why } of ipi?.deliveries ?? []) yield [to, ipi!.command.deliveryMode, state, why];
}

/** A trace as one page for a browser, which asks nothing of anybody: the page that was built, and the trace in it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { packageRoot } from '../base/package.ts';
import type { LoadedTrace } from '../picture/file/load.ts';
import type { PictureItem } from '../picture/picture.ts';
import { describeKernelEvent, describeKernelLoss } from '../trace/kernel-event.ts';
import { PageCode } from './page-code.ts';
import { PageLanes } from './page-lanes.ts';

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

/** What stands in a lane at a time. */
interface Placed {
  readonly ns: number;
  readonly lane: number;
  readonly seq: number;
  readonly kind: string;
  readonly text: string;
  readonly code?: string | undefined;
  readonly item?: PictureItem;
  readonly machine: number;
}

/** What tools/trace-page/data.ts describes. */
export function pageData(trace: LoadedTrace): object {
  const { head, machines, kernel, losses, failure, isCut } = trace;
  const names = { words: new Words(), kinds: new Words(), modes: new Words(), states: new Words() };
  const lanes = new PageLanes(trace);
  const start = machines.reduce((least, { born }) => (born < least ? born : least), machines[0]?.born ?? 0n);
  const all: Placed[] = machines.flatMap(({ machine, born, picture, code }) => {
    const since = Number(born - start);
    const instructions = new PageCode(code);
    return picture.items.map((item) => ({
      machine,
      ns: since + item.ns,
      lane: lanes.of(machine, item.lane),
      seq: item.seq,
      kind: kinds[item.kind],
      text: item.text,
      code: item.rip === undefined || item.lane === 'host' ? undefined : instructions.at(item.lane, item.rip),
      item,
    }));
  });
  for (const event of kernel)
    all.push({
      machine: event.machine ?? 0,
      ns: Number(event.at - start),
      lane: lanes.ofKernel(event),
      seq: -1,
      kind: KERNEL,
      text:
        event.vcpu === undefined ? `${describeKernelEvent(event)}, thread ${event.tid}` : describeKernelEvent(event),
    });
  all.sort((a, b) => a.ns - b.ns);
  const items = { ns: [], lane: [], kind: [], text: [], seq: [], code: [] } as Record<string, number[]>;
  const arrows = { item: [], to: [], mode: [], state: [], why: [] } as Record<string, number[]>;
  const wordOf = (text: string | undefined) => (text === undefined ? -1 : names.words.of(text));
  all.forEach(({ machine, ns, lane, seq, kind, text, code, item }, index) => {
    push(items, [ns, lane, names.kinds.of(kind), names.words.of(text), seq, wordOf(code)]);
    for (const [to, mode, state, why] of item ? arrowsOf(item) : [])
      push(arrows, [index, lanes.of(machine, to), names.modes.of(mode), names.states.of(state), wordOf(why)]);
  });
  const message = failure === undefined ? [] : String(failure.message).split('\n');
  return {
    title: `kvm-dsm ${head.package} on ${head.on}, Linux ${head.kernel}, profile ${head.profile}`,
    lanes: lanes.names,
    groups: lanes.groups,
    kinds: names.kinds.list,
    kernel: names.kinds.list.indexOf(KERNEL),
    modes: names.modes.list,
    states: names.states.list,
    words: names.words.list,
    items,
    arrows,
    notes: [
      ...message,
      ...losses.map((loss) => `The kernel: ${describeKernelLoss(loss)}.`),
      ...(isCut ? ['The file ends before its run did.'] : []),
    ],
  };
}

const KERNEL = "kernel's own event";

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

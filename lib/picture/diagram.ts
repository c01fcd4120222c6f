/**
 * A picture as plain text, fit for a commit message: one column for each vCPU, time downwards, interrupts as arrows, and
 * what was lost marked.
 */
import { plural } from '../base/text.ts';
import { drawRow, type Sheet } from './draw.ts';
import type { Delivery } from './judge.ts';
import type { Picture, PictureItem, PictureLane } from './picture.ts';

/** No line is longer. */
const WIDTH = 72;
/** So many columns can be read. */
const COLUMNS = 5;
/** So many rows are shown: before what went wrong, and behind it. */
const BEFORE = 12;
const BEHIND = 7;
/** So many sentences stand below. */
const NOTES = 5;

/** One or several of the same kind in a row. */
interface Run {
  readonly item: PictureItem;
  count: number;
}

/**
 * @param focus the place in the trace that it is about; default: what was lost or doubled first, or else the end
 * @returns nothing of a trace without events
 */
export function diagram(picture: Picture, focus?: number): string[] {
  const items = withoutPreparations(picture.items);
  if (items.length === 0) return [];
  const runs = folded(items);
  const at = placeOf(runs, focus);
  const from = Math.max(0, Math.min(at - BEFORE, runs.length - BEFORE - BEHIND - 1));
  const window = runs.slice(from, from + BEFORE + BEHIND + 1);
  const lanes = lanesOf(picture, window);
  const sheet = sheetOf(lanes, window.at(-1)!.item.seq);
  const isShown = ({ item }: Run) => lanes.includes(item.lane);
  const shown = window.filter(isShown);
  const rows = shown.flatMap(({ item, count }) => [
    ...drawRow(sheet, item),
    ...(count > 1 ? [cut(sheet, `${count - 1} more like it`)] : []),
  ]);
  const behind = runs.slice(from + window.length);
  const lines = [
    ...headOf(sheet, lanes),
    ...(from > 0 ? [cut(sheet, `${events(runs.slice(0, from))} before`)] : []),
    ...rows,
    ...(behind.length > 0 ? [cut(sheet, `${events(behind)} behind`)] : []),
    ...notesOf(picture, lanes, window),
  ];
  return lines.map((line) => line.trimEnd());
}

/** A write of ICR2 whose destination the write of ICR behind it has says nothing more. */
function withoutPreparations(items: readonly PictureItem[]): PictureItem[] {
  const sends = new Set<PictureLane>();
  return items
    .toReversed()
    .filter(({ kind, lane }) => {
      if (kind === 'ipi') sends.add(lane);
      return kind !== 'prepares' || !sends.delete(lane);
    })
    .reverse();
}

function folded(items: readonly PictureItem[]): Run[] {
  const runs: Run[] = [];
  let last = '';
  for (const item of items) {
    const key = keyOf(item);
    const run = runs.at(-1);
    if (run && key === last) run.count += 1;
    else runs.push({ item, count: 1 });
    last = key;
  }
  return runs;
}

function keyOf({ lane, text, ipi }: PictureItem): string {
  const states = ipi?.deliveries.map(({ to, state }) => `${to}${state}`).join() ?? '';
  return `${lane} ${text} ${states}`;
}

const isWrong = ({ state }: Delivery) => state === 'lost' || state === 'doubled';

function placeOf(runs: readonly Run[], focus: number | undefined): number {
  const wrong = runs.findIndex(({ item }) => item.ipi?.deliveries.some(isWrong));
  if (wrong >= 0) return wrong;
  const asked = focus === undefined ? -1 : runs.findLastIndex(({ item }) => item.seq <= focus);
  return asked >= 0 ? asked : runs.length - 1;
}

/** Those that matter most, if there are more than can be read. */
function lanesOf({ lanes }: Picture, window: readonly Run[]): PictureLane[] {
  const scores = new Map<PictureLane, number>();
  const add = (lane: PictureLane, score: number) => scores.set(lane, (scores.get(lane) ?? 0) + score);
  for (const { item } of window) {
    add(item.lane, item.ipi ? 10 : 1);
    for (const delivery of item.ipi?.deliveries ?? []) {
      add(delivery.to, isWrong(delivery) ? 10_000 : 5);
      if (isWrong(delivery)) add(item.lane, 10_000);
    }
  }
  const there = lanes.filter((lane) => lane !== 'host' || scores.has('host'));
  if (there.length <= COLUMNS) return there;
  const score = (lane: PictureLane) => scores.get(lane) ?? 0;
  const best = new Set([...there].sort((a, b) => score(b) - score(a)).slice(0, COLUMNS));
  return there.filter((lane) => best.has(lane) && score(lane) > 0);
}

/** @param last the highest number of a row */
export function sheetOf(lanes: readonly PictureLane[], last: number): Sheet {
  const gutter = Math.max(4, String(last).length + 2);
  const width = Math.floor((WIDTH - gutter) / lanes.length);
  return { width: WIDTH, columns: new Map(lanes.map((lane, index) => [lane, gutter + index * width])), column: width };
}

const nameOf = (lane: PictureLane) => (lane === 'host' ? 'host' : `vCPU ${lane}`);

export function headOf({ columns }: Sheet, lanes: readonly PictureLane[]): string[] {
  let head = '';
  for (const lane of lanes) head = `${head.padEnd(columns.get(lane)!)}${nameOf(lane)}`;
  return [head];
}

/** Where time is left out. */
function cut({ columns }: Sheet, text: string): string {
  const line = Array<string>(WIDTH).fill(' ');
  for (const at of columns.values()) line[at] = ':';
  const [first] = columns.values();
  const words = ` ... ${text} `;
  return `${line.slice(0, first! + 1).join('')}${words}${line.slice(first! + 1 + words.length).join('')}`;
}

function events(runs: readonly Run[]): string {
  return plural(
    runs.reduce((sum, { count }) => sum + count, 0),
    'event',
  );
}

/** What the arrows cannot say: who lost what, what is not judged and why, what is not shown. */
function notesOf(picture: Picture, lanes: readonly PictureLane[], window: readonly Run[]): string[] {
  const said = new Map<string, number>();
  for (const open of [false, true])
    for (const item of open ? window.map((run) => run.item) : picture.items)
      for (const delivery of item.ipi?.deliveries ?? []) {
        if (open ? delivery.state !== 'open' : !isWrong(delivery)) continue;
        const text = noteOf(item, delivery);
        said.set(text, (said.get(text) ?? 0) + 1);
      }
  const all = [...said.keys()];
  const left = picture.lanes.filter((lane) => lane !== 'host' && !lanes.includes(lane));
  const lines = [
    ...all.slice(0, NOTES),
    ...(all.length > NOTES ? [`and ${all.length - NOTES} more of that kind`] : []),
    ...(left.length > 0 ? [`not shown: ${plural(left.length, 'vCPU')} (${ranges(left as number[])})`] : []),
  ];
  return lines.length === 0 ? [] : ['', ...lines.flatMap(wrapped)];
}

function noteOf({ ipi }: PictureItem, { to, state, why }: Delivery): string {
  const { deliveryMode, vector } = ipi!.command;
  const what = { init: 'INIT', nmi: 'NMI', smi: 'SMI', startUp: 'SIPI' }[deliveryMode as 'nmi'];
  const name = what ?? `vector 0x${vector.toString(16)}`;
  const mark = state === 'open' ? '?' : state === 'lost' ? 'X' : '*';
  const verdict = state === 'open' ? 'not judged' : state.toUpperCase();
  const one = (ipi!.candidates ?? 1) > 1 ? ` (one of the ${ipi!.candidates} that it names)` : '';
  return `${mark} vCPU ${to}, ${name}: ${verdict}${why === undefined ? '' : `, ${why}`}${one}`;
}

function ranges(ids: readonly number[]): string {
  const parts: [number, number][] = [];
  for (const id of ids) {
    const last = parts.at(-1);
    if (last && last[1] === id - 1) last[1] = id;
    else parts.push([id, id]);
  }
  return parts.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`)).join(', ');
}

/** Within the width; what goes on stands further in. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = ` ${word.slice(0, WIDTH - 2)}`;
    } else line = line === '' ? word.slice(0, WIDTH) : `${line} ${word}`;
  }
  return [...lines, line];
}

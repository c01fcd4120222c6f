/** One row of a diagram: an event in its column, and the arrows of the interrupt that it sends. */
import type { Delivery, DeliveryState } from './judge.ts';
import type { PictureItem, PictureLane } from './picture.ts';

/** Where the columns are. */
export interface Sheet {
  /** Of a whole line. */
  readonly width: number;
  /** Where each lane's line stands, from the left. */
  readonly columns: ReadonlyMap<PictureLane, number>;
  /** How wide each is. */
  readonly column: number;
}

/** What stands at the line of a vCPU that an arrow comes to. */
const marks: Record<DeliveryState, string> = { delivered: '|', lost: 'X', doubled: '*', open: '?' };
const labels: Record<DeliveryState, string> = { delivered: '', lost: 'LOST', doubled: 'TWICE', open: '' };

/** An arrow is at least so long beside the words. */
const ARROW = 3;
const MOST_LINES = 3;

export function drawRow(sheet: Sheet, item: PictureItem): string[] {
  const { columns, column } = sheet;
  const at = columns.get(item.lane)!;
  const others = (item.ipi?.deliveries ?? []).filter(({ to }) => to !== item.lane);
  const own = item.ipi?.deliveries.find(({ to }) => to === item.lane);
  const shown = others.filter(({ to }) => columns.has(to));
  const hidden = others.length - shown.length;
  const isRight = shown.some(({ to }) => columns.get(to)! > at);
  const room = column - 3 - (isRight ? ARROW : 0);
  const isArrow = shown.length === 1 && hidden === 0;
  const text = isArrow && item.text.length > room ? (item.beside ?? item.text) : item.text;
  const beside = item.ipi?.deliveries.length === 0 ? ' (nobody)' : hidden > 0 ? ` (${hidden} not shown)` : '';
  const words = brokenInto(`${text}${beside}`, room);
  const [first = '', ...more] = words;
  const line = lifelines(sheet);
  put(line, 0, `#${item.seq}`);
  put(line, at + 2, first);
  arrows(line, at, first.length, shown, columns, column);
  const rows = [line, ...more.map((text) => put(lifelines(sheet), at + 2, text))];
  if (own) rows.push(loop(sheet, at, own));
  return rows.map((row) => row.join(''));
}

function lifelines({ width, columns }: Sheet): string[] {
  const line = Array<string>(width).fill(' ');
  for (const at of columns.values()) line[at] = '|';
  return line;
}

function put(line: string[], at: number, text: string): string[] {
  [...text].forEach((character, index) => {
    if (at + index < line.length) line[at + index] = character;
  });
  return line;
}

function arrows(
  line: string[],
  from: number,
  words: number,
  to: readonly Delivery[],
  columns: ReadonlyMap<PictureLane, number>,
  column: number,
): void {
  const places = to.map((delivery) => ({ delivery, at: columns.get(delivery.to)! }));
  const right = Math.max(from, ...places.map(({ at }) => at));
  const left = Math.min(from, ...places.map(({ at }) => at));
  for (let at = from + 3 + words; at < right; at++) line[at] = '-';
  for (let at = left + 1; at < from; at++) line[at] = '-';
  for (const { delivery, at } of places) {
    const isRight = at > from;
    line[isRight ? at - 1 : at + 1] = isRight ? '>' : '<';
    line[at] = marks[delivery.state];
    const label = labels[delivery.state];
    // Beside an arrow that goes on, or comes, there is a space on each side.
    const isEnd = at === right && isRight;
    if (label !== '' && label.length + 4 <= column)
      put(line, isRight ? at + 1 : at + 2, isEnd ? ` ${label}` : ` ${label} `);
  }
}

/** What a vCPU sends to itself. */
function loop(sheet: Sheet, at: number, { state }: Delivery): string[] {
  const label = labels[state];
  return put(lifelines(sheet), at, `${marks[state]}<-'${label === '' ? '' : ` ${label}`}`);
}

/** At most so many lines of words; what is longer is cut. */
function brokenInto(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const next = line === '' ? word : `${line} ${word}`;
    if (next.length <= width) line = next;
    else {
      if (line !== '') lines.push(line);
      line = word.length > width ? `${word.slice(0, width - 2)}..` : word;
    }
  }
  lines.push(line);
  if (lines.length <= MOST_LINES) return lines;
  return [...lines.slice(0, MOST_LINES - 1), `${lines[MOST_LINES - 1]!.slice(0, width - 2)}..`];
}

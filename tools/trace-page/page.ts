/** The page of `kvm-dsm trace --to html`: lanes from above to below, time to the right, interrupts as arrows. */
import { scaleLinear } from 'd3-scale';
import { select } from 'd3-selection';
import { type D3ZoomEvent, type ZoomTransform, zoom, zoomIdentity } from 'd3-zoom';
import type { PageData } from './data.ts';
import { firstFrom, perPixel } from './index.ts';

const data = JSON.parse(document.getElementById('data')!.textContent!) as PageData;
const { items, arrows } = data;
const canvas = document.getElementById('canvas') as HTMLCanvasElement;
const paper = canvas.getContext('2d', { alpha: false })!;
const details = document.getElementById('details')!;
const found = document.getElementById('found')!;
const search = document.getElementById('search') as HTMLInputElement;

const LEFT = 90;
const TOP = 28;
const count = items.ns.length;
const first = items.ns[0] ?? 0;
const last = Math.max(first + 1000, items.ns[count - 1] ?? 0);

const dark = matchMedia('(prefers-color-scheme: dark)');
const hues = ['#3b82c4', '#7a52c7', '#0f9d76', '#c77d0a', '#a13a8f', '#4c8c2b', '#8a6d3b', '#5b6f82', '#7f7f7f'];
const kindHues = ['#3b82c4', '#9aa7b5', '#0f9d76', '#c77d0a', '#8a949f'];
const hueOf = (kind: number) => (kind === data.kernel ? '#b5568c' : kindHues[kind % kindHues.length]!);
const isWrong = (state: number) => data.states[state] === 'lost' || data.states[state] === 'doubled';
const readPalette = () => {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    back: read('back'),
    ink: read('ink'),
    dim: read('dim'),
    line: read('line'),
    panel: read('panel'),
    pick: read('pick'),
    bad: read('bad'),
  };
};
let palette = readPalette();

/** What is shown: off by the boxes above. */
const hidden = { modes: new Set<number>(), kinds: new Set<number>(), right: false };
let matches: number[] = [];
let picked = -1;
let view: ZoomTransform = zoomIdentity;
let width = 0;
let height = 0;
let asked = false;

/** The events of a lane and a kind, by time. */
interface Track {
  lane: number;
  kind: number;
  ns: number[];
  item: number[];
}
/** The arrows from one lane to another, of a mode and a state. */
interface Bundle {
  from: number;
  to: number;
  mode: number;
  state: number;
  ns: number[];
}
const tracks = new Map<string, Track>();
const bundles = new Map<string, Bundle>();
for (let item = 0; item < count; item++) {
  const [lane, kind] = [items.lane[item]!, items.kind[item]!];
  const track = tracks.get(`${lane} ${kind}`) ?? { lane, kind, ns: [], item: [] };
  tracks.set(`${lane} ${kind}`, track);
  track.ns.push(items.ns[item]!);
  track.item.push(item);
}
const wrongItems = new Set<number>();
/** The arrows of each item: the first of them. */
const firstArrow = new Map<number, number>();
for (let arrow = 0; arrow < arrows.item.length; arrow++) {
  const item = arrows.item[arrow]!;
  const [from, to, mode, state] = [items.lane[item]!, arrows.to[arrow]!, arrows.mode[arrow]!, arrows.state[arrow]!];
  const key = `${from} ${to} ${mode} ${state}`;
  const bundle = bundles.get(key) ?? { from, to, mode, state, ns: [] };
  bundles.set(key, bundle);
  bundle.ns.push(items.ns[item]!);
  if (isWrong(state)) wrongItems.add(item);
  if (!firstArrow.has(item)) firstArrow.set(item, arrow);
}
const wrong = [...wrongItems].sort((a, b) => a - b);
const inOrder = [...bundles.values()];

const base = scaleLinear().domain([first, last]);
const y = (lane: number) => TOP + (lane + 0.5) * ((height - TOP) / data.lanes.length);

function redraw(): void {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    draw();
  });
}

function draw(): void {
  // By hand what the scale does: it is asked for each pixel of each track.
  const perNs = ((width - 20 - LEFT - 10) / (last - first)) * view.k;
  const origin = (LEFT + 10) * view.k + view.x - first * perNs;
  const x = (ns: number) => ns * perNs + origin;
  const at = (pixel: number) => (pixel - origin) / perNs;
  paper.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  paper.fillStyle = palette.back;
  paper.fillRect(0, 0, width, height);
  grounds();
  lanes(view.rescaleX(base));
  paper.save();
  paper.beginPath();
  paper.rect(LEFT, 0, width - LEFT, height);
  paper.clip();
  const shown = inOrder.filter(isBundleShown);
  const groups = new Map<string, Bundle[]>();
  for (const bundle of shown) {
    if (isWrong(bundle.state)) continue;
    const key = `${bundle.mode} ${bundle.state}`;
    groups.set(key, [...(groups.get(key) ?? []), bundle]);
  }
  for (const group of groups.values()) {
    paper.fillStyle = hues[group[0]!.mode % hues.length]!;
    // What is not judged is paler.
    paper.globalAlpha = data.states[group[0]!.state] === 'open' ? 0.5 : 1;
    drawArrows(group, x, at);
    paper.globalAlpha = 1;
  }
  const there = [...tracks.values()].filter(({ kind }) => !hidden.kinds.has(kind));
  for (const track of there) drawTrack(track, x, at);
  const cells = () => data.lanes.map(() => new Uint8Array(Math.ceil(width / CELL) + 1));
  const taken = cells();
  const takenBelow = cells();
  const isLeast = ({ kind }: Track) => Number(data.kinds[kind] === 'write of ICR2');
  for (const track of there.toSorted((a, b) => isLeast(a) - isLeast(b))) {
    const places = track.kind === data.kernel ? takenBelow : taken;
    drawLabels(track, places[track.lane]!, x, at);
  }
  // What is wrong lies on top of all.
  for (const bundle of shown) if (isWrong(bundle.state)) drawBundle(bundle, x, at);
  for (const item of matches) ring(x(items.ns[item]!), markAt(item), palette.pick, 5);
  if (picked >= 0) ring(x(items.ns[picked]!), markAt(picked), palette.ink, 8);
  paper.restore();
}

/** Those of a node have a ground of their own. */
function grounds(): void {
  const half = (height - TOP) / data.lanes.length / 2;
  paper.font = '11px system-ui, sans-serif';
  paper.textBaseline = 'middle';
  data.groups.forEach(({ name, first, last }, index) => {
    const [from, to] = [y(first) - half, y(last) + half];
    paper.fillStyle = index % 2 === 0 ? palette.panel : palette.back;
    paper.fillRect(0, from, width, to - from);
    paper.fillStyle = palette.dim;
    paper.fillText(name, 8, from + 8, LEFT - 14);
  });
}

function lanes(x: ReturnType<typeof scaleLinear<number, number>>): void {
  paper.strokeStyle = palette.line;
  paper.fillStyle = palette.ink;
  paper.font = '12px system-ui, sans-serif';
  paper.textBaseline = 'middle';
  paper.beginPath();
  data.lanes.forEach((name, lane) => {
    paper.moveTo(LEFT, y(lane));
    paper.lineTo(width, y(lane));
    paper.fillText(name, 8, y(lane), LEFT - 14);
  });
  paper.fillStyle = palette.dim;
  for (const tick of x.ticks(Math.max(2, Math.floor((width - LEFT) / 120)))) {
    const place = x(tick);
    if (place < LEFT) continue;
    paper.moveTo(place, TOP - 6);
    paper.lineTo(place, height);
    paper.fillText(`${(tick / 1000).toLocaleString('en', { maximumFractionDigits: 3 })} us`, place + 3, 12);
  }
  paper.stroke();
}

const isBundleShown = ({ mode, state }: Bundle) => !hidden.modes.has(mode) && !(hidden.right && !isWrong(state));

/** Of 32 parts of the picture's height those that an arrow goes through. */
function partsBetween(from: number, to: number): number {
  const parts = Math.min(32, data.lanes.length);
  const part = (lane: number) => Math.floor((lane * parts) / data.lanes.length);
  let mask = 0;
  for (let one = part(Math.min(from, to)); one < part(Math.max(from, to)); one++) mask |= 1 << one;
  return mask;
}

/**
 * The arrows that came, of one mode and state: at each pixel once, whatever lies over each other there. Tips where there are few.
 */
function drawArrows(list: readonly Bundle[], x: (ns: number) => number, at: (pixel: number) => number): void {
  const masks = new Uint32Array(Math.ceil(width) + 2);
  const heads: [number, number, number][] = [];
  for (const { from, to, ns } of list) {
    const mask = partsBetween(from, to);
    perPixel(ns, width, x, at, (_, pixel) => {
      if (pixel < 0) return;
      masks[Math.floor(pixel)]! |= mask;
      if (heads.length < FEW) heads.push([pixel, to, Math.sign(to - from)]);
    });
  }
  const parts = Math.min(32, data.lanes.length);
  const laneOf = (part: number) => (part * data.lanes.length) / parts;
  for (let from = 0; from < masks.length; ) {
    const mask = masks[from]!;
    let to = from + 1;
    while (to < masks.length && masks[to] === mask) to += 1;
    for (let part = 0; mask !== 0 && part < parts; ) {
      let end = part;
      while (end < parts && (mask >>> end) & 1) end += 1;
      if (end > part) paper.fillRect(from, y(laneOf(part)), to - from, y(laneOf(end)) - y(laneOf(part)));
      part = end + 1;
    }
    from = to;
  }
  if (heads.length >= FEW) return;
  for (const [pixel, lane, down] of heads) {
    if (down === 0) ring(pixel, y(lane) - 7, paper.fillStyle as string, 5);
    else tips([pixel], y(lane), down);
  }
}

/** More arrows than these have no tips: there is no room for them. */
const FEW = 1500;

function drawBundle({ from, to, state, ns }: Bundle, x: (ns: number) => number, at: (pixel: number) => number): void {
  paper.strokeStyle = palette.bad;
  paper.lineWidth = 2;
  paper.beginPath();
  const heads: number[] = [];
  perPixel(ns, width, x, at, (_, pixel) => {
    paper.moveTo(pixel, y(from));
    if (from === to) paper.arc(pixel, y(from) - 7, 6, Math.PI / 2, Math.PI * 2.4);
    else paper.lineTo(pixel, y(to));
    heads.push(pixel);
  });
  paper.stroke();
  crosses(heads, y(to), data.states[state] === 'doubled');
}

function tips(heads: readonly number[], at: number, down: number): void {
  paper.beginPath();
  for (const pixel of heads) {
    paper.moveTo(pixel, at);
    paper.lineTo(pixel - 3, at - 7 * down);
    paper.lineTo(pixel + 3, at - 7 * down);
  }
  paper.fill();
}

/** Where a lost one should have come; of one that came twice two strokes. */
function crosses(heads: readonly number[], at: number, twice: boolean): void {
  paper.lineWidth = 2.5;
  paper.beginPath();
  for (const pixel of heads) {
    paper.moveTo(pixel - 6, at - 6);
    paper.lineTo(pixel + 6, twice ? at - 6 : at + 6);
    paper.moveTo(pixel - 6, at + 6);
    paper.lineTo(pixel + 6, twice ? at + 6 : at - 6);
  }
  paper.stroke();
  paper.lineWidth = 1;
}

function drawTrack({ lane, kind, ns }: Track, x: (ns: number) => number, at: (pixel: number) => number): void {
  const isKernels = kind === data.kernel;
  const top = y(lane) + (isKernels ? KERNEL_MARKS : -5);
  const tall = isKernels ? 5 : 10;
  paper.fillStyle = hueOf(kind);
  let from = Number.NaN;
  let to = Number.NaN;
  const flush = () => from <= to && paper.fillRect(from - 1, top, to - from + 2, tall);
  perPixel(ns, width, x, at, (_, pixel) => {
    if (pixel - to < 2) to = pixel;
    else {
      flush();
      from = pixel;
      to = pixel;
    }
  });
  flush();
}

/** In pixels: so far below its lane the kernel's own events begin, where no arrow has its tip. */
const KERNEL_MARKS = 9;

/** In pixels: what is taken by words is taken in such cells. */
const CELL = 8;

/** Words where there is room for them: as many as do not lie over each other. */
function drawLabels(track: Track, taken: Uint8Array, x: (ns: number) => number, at: (pixel: number) => number): void {
  const seen = firstFrom(track.ns, at(width)) - firstFrom(track.ns, at(0));
  if (seen > width) return;
  paper.fillStyle = palette.dim;
  paper.font = '11px system-ui, sans-serif';
  perPixel(track.ns, width, x, at, (place, pixel) => {
    const text = data.words[items.text[track.item[place]!]!]!.slice(0, 40);
    const from = Math.max(0, Math.floor(pixel / CELL));
    const to = from + Math.ceil((text.length * 6 + 10) / CELL);
    if (to >= taken.length || taken.subarray(from, to).includes(1)) return;
    taken.fill(1, from, to);
    paper.fillText(text, pixel + 4, y(track.lane) + (track.kind === data.kernel ? KERNEL_MARKS + 12 : -12));
  });
}

const markAt = (item: number) => y(items.lane[item]!) + (items.kind[item] === data.kernel ? KERNEL_MARKS + 2 : 0);

function ring(x: number, at: number, ink: string, radius: number): void {
  if (x < LEFT || x > width) return;
  paper.strokeStyle = ink;
  paper.lineWidth = 2;
  paper.beginPath();
  paper.arc(x, at, radius, 0, Math.PI * 2);
  paper.stroke();
  paper.lineWidth = 1;
}

function line(text: string, style = ''): HTMLElement {
  const made = document.createElement('div');
  made.textContent = text;
  made.className = style;
  return made;
}

function pick(item: number): void {
  picked = item;
  const lane = data.lanes[items.lane[item]!]!;
  const place = items.seq[item]! < 0 ? '' : `#${items.seq[item]}  `;
  const when = `${place}${lane}  ${(items.ns[item]! / 1000).toFixed(3)} us  ${data.kinds[items.kind[item]!]}`;
  const lines = [line(when, 'dim'), line(data.words[items.text[item]!]!)];
  if (items.code[item]! >= 0) lines.push(line(data.words[items.code[item]!]!, 'code'));
  for (let arrow = firstArrow.get(item) ?? arrows.item.length; arrows.item[arrow] === item; arrow++) {
    const state = arrows.state[arrow]!;
    const why = arrows.why[arrow]! < 0 ? '' : `: ${data.words[arrows.why[arrow]!]}`;
    const text = `  -> ${data.lanes[arrows.to[arrow]!]}  ${data.modes[arrows.mode[arrow]!]}  ${data.states[state]}${why}`;
    lines.push(line(text, isWrong(state) ? 'bad' : ''));
  }
  details.replaceChildren(...lines);
  redraw();
}

const zoomer = zoom<HTMLCanvasElement, unknown>().on('zoom', (event: D3ZoomEvent<HTMLCanvasElement, unknown>) => {
  view = event.transform;
  redraw();
});
const canvasOf = select(canvas);

function resize(): void {
  const box = canvas.parentElement!.getBoundingClientRect();
  width = box.width;
  height = box.height;
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  base.range([LEFT + 10, width - 20]);
  // A thousandth of a microsecond for each pixel is the nearest.
  zoomer.scaleExtent([0.8, Math.max(8, ((last - first) / (width || 1)) * 1000)]);
  zoomer.extent([
    [LEFT, 0],
    [width, height],
  ]);
  redraw();
}

/** Brings an event into the middle, and so near that it stands by itself. */
function goTo(item: number): void {
  const near = Math.max(view.k, Math.min(zoomer.scaleExtent()[1], (last - first) / 200_000));
  const middle = (LEFT + width) / 2;
  canvasOf.call(zoomer.transform, zoomIdentity.translate(middle - base(items.ns[item]!) * near, 0).scale(near));
  pick(item);
}

function nearest(px: number, py: number): number {
  const lane = Math.max(
    0,
    Math.min(data.lanes.length - 1, Math.floor((py - TOP) / ((height - TOP) / data.lanes.length))),
  );
  const at = view.rescaleX(base).invert(px);
  const isBelow = data.kernel >= 0 && py > y(lane) + KERNEL_MARKS - 2;
  let best = -1;
  for (const track of tracks.values()) {
    if (track.lane !== lane || hidden.kinds.has(track.kind)) continue;
    if ((track.kind === data.kernel) !== isBelow) continue;
    const place = firstFrom(track.ns, at);
    for (const one of [place - 1, place]) {
      const item = track.item[one];
      if (item === undefined) continue;
      if (best < 0 || Math.abs(items.ns[item]! - at) < Math.abs(items.ns[best]! - at)) best = item;
    }
  }
  return best;
}

/** The next of these behind the one that is picked, or before it; from the other end if there is none. */
function next(list: readonly number[], step: 1 | -1): void {
  if (list.length === 0) return;
  const place = firstFrom(list, step === 1 ? picked + 1 : picked);
  const index = step === 1 ? place % list.length : (place - 1 + list.length) % list.length;
  goTo(list[index]!);
}

/** The next of all that are shown. */
function step(by: 1 | -1): void {
  let item = picked + by;
  while (item >= 0 && item < count && hidden.kinds.has(items.kind[item]!)) item += by;
  if (item >= 0 && item < count) goTo(item);
}

function find(): void {
  const wanted = search.value.toLowerCase();
  const words = new Set(data.words.flatMap((text, index) => (text.toLowerCase().includes(wanted) ? [index] : [])));
  const all = wanted === '' ? [] : items.text.flatMap((text, item) => (words.has(text) ? [item] : []));
  matches = all.slice(0, 2000);
  found.textContent = wanted === '' ? '' : `${all.length} found`;
  redraw();
}

function box(
  parent: Element,
  name: string,
  ink: string | undefined,
  toggle: (shown: boolean) => void,
  shown = true,
): void {
  const label = document.createElement('label');
  const input = document.createElement('input');
  input.type = 'checkbox';
  input.checked = shown;
  input.addEventListener('change', () => {
    toggle(input.checked);
    redraw();
  });
  label.append(input);
  if (ink) {
    const swatch = document.createElement('span');
    swatch.className = 'swatch';
    swatch.style.background = ink;
    label.append(swatch);
  }
  label.append(`${name} `);
  parent.append(label);
}

const filters = document.getElementById('filters')!;
const toggle = (set: Set<number>, one: number) => (shown: boolean) => void (shown ? set.delete(one) : set.add(one));
data.modes.forEach((name, mode) => void box(filters, name, hues[mode % hues.length], toggle(hidden.modes, mode)));
data.kinds.forEach((name, kind) => void box(filters, name, hueOf(kind), toggle(hidden.kinds, kind)));
box(
  filters,
  `only what was lost or doubled (${wrong.length})`,
  undefined,
  (shown) => {
    hidden.right = shown;
  },
  false,
);

document.getElementById('title')!.textContent = data.title;
document.title = data.title;
details.replaceChildren(...data.notes.map((text) => line(text)));

canvas.addEventListener('click', (event) => {
  const item = nearest(event.offsetX, event.offsetY);
  if (item >= 0) pick(item);
});
search.addEventListener('input', find);
search.addEventListener('keydown', (event) => {
  if (event.key === 'Enter') next(matches, event.shiftKey ? -1 : 1);
  if (event.key === 'Escape') canvas.focus();
});
const keys: Record<string, () => void> = {
  ArrowLeft: () => canvasOf.call(zoomer.translateBy, 80 / view.k, 0),
  ArrowRight: () => canvasOf.call(zoomer.translateBy, -80 / view.k, 0),
  '+': () => canvasOf.call(zoomer.scaleBy, 1.5),
  '=': () => canvasOf.call(zoomer.scaleBy, 1.5),
  '-': () => canvasOf.call(zoomer.scaleBy, 1 / 1.5),
  '0': () => canvasOf.call(zoomer.transform, zoomIdentity),
  Home: () => canvasOf.call(zoomer.transform, zoomIdentity),
  n: () => next(wrong, 1),
  p: () => next(wrong, -1),
  ']': () => step(1),
  '[': () => step(-1),
  '/': () => search.focus(),
};
addEventListener('keydown', (event) => {
  const act = keys[event.key];
  if (!act || event.target === search || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});
dark.addEventListener('change', () => {
  palette = readPalette();
  redraw();
});
new ResizeObserver(resize).observe(canvas.parentElement!);
canvasOf.call(zoomer);
canvas.focus();
resize();

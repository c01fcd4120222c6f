// The page of `kvm-dsm trace --to html` in a browser: what is drawn, and that 100,000 events are drawn at once.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { after, describe, test } from 'node:test';
import { loadTrace } from '../../lib/picture/file/load.ts';
import { readTrace } from '../../lib/picture/file/read.ts';
import { toHtml } from '../../lib/runner/trace-page.ts';
import { type PreparedRun, preparedRuns, preparedTarget, Scene } from '../support/pictures.ts';
import { asText, inPieces, traceLines } from '../support/trace-lines.ts';

const browser = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);
const skip = browser === undefined ? 'there is no chromium here' : false;
const folder = mkdtempSync(join(tmpdir(), 'trace-page-'));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20 }));

/** Counts red pixels, then zooms and pans like a hand. */
const probe = `(async () => {
  const turn = () => new Promise((done) => requestAnimationFrame(done));
  await turn();
  await turn();
  const canvas = document.getElementById('canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let red = 0;
  for (let at = 0; at < data.length; at += 4) if (data[at] > 180 && data[at + 1] < 60 && data[at + 2] < 90) red += 1;
  const times = [];
  let last = await turn();
  for (let frame = 0; frame < 120; frame++) {
    const deltaY = frame < 60 ? -60 : 40;
    canvas.dispatchEvent(new WheelEvent('wheel', { deltaY, clientX: 500, clientY: 300, bubbles: true, cancelable: true }));
    if (frame % 3 === 0) dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
    const now = await turn();
    times.push(now - last);
    last = now;
  }
  times.sort((a, b) => a - b);
  return { red, frames: times.length, p95: times[Math.floor(times.length * 0.95)] };
})()`;

interface Seen {
  red: number;
  frames: number;
  p95: number;
  /** What the page has asked for, beside itself. */
  asked: string[];
}

/** A browser that is told what to do by its pipe. */
class Browser implements AsyncDisposable {
  readonly #child = spawn(
    browser!,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--window-size=1400,800',
      '--remote-debugging-pipe',
      `--user-data-dir=${folder}`,
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  );
  readonly #answers = new Map<number, (message: { result?: unknown; error?: unknown }) => void>();
  readonly asked: string[] = [];
  readonly loaded: Promise<void>;
  #last = 0;

  constructor() {
    let rest = '';
    let load = () => {};
    this.loaded = new Promise((done) => {
      load = done;
    });
    (this.#child.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => {
      const messages = `${rest}${text}`.split('\0');
      rest = messages.pop()!;
      for (const json of messages) {
        const message = JSON.parse(json);
        if (message.method === 'Network.requestWillBeSent') this.asked.push(message.params.request.url);
        if (message.method === 'Page.loadEventFired') load();
        this.#answers.get(message.id)?.(message);
      }
    });
  }

  async call<T>(method: string, params: object, sessionId?: string): Promise<T> {
    const id = ++this.#last;
    const answer = new Promise<{ result?: unknown; error?: unknown }>((done) => this.#answers.set(id, done));
    (this.#child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    const { result, error } = await answer;
    assert.equal(error, undefined, JSON.stringify(error));
    return result as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

async function seen(run: PreparedRun): Promise<Seen> {
  const trace = await loadTrace(readTrace(inPieces(asText(traceLines(run)), 1 << 16)));
  const path = join(folder, 'page.html');
  writeFileSync(path, [...toHtml(trace)].join(''));
  await using chrome = new Browser();
  const { targetId } = await chrome.call<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
  const attach = { targetId, flatten: true };
  const { sessionId } = await chrome.call<{ sessionId: string }>('Target.attachToTarget', attach);
  await chrome.call('Network.enable', {}, sessionId);
  await chrome.call('Page.enable', {}, sessionId);
  await chrome.call('Page.navigate', { url: `file://${path}` }, sessionId);
  await chrome.loaded;
  const expression = { expression: probe, awaitPromise: true, returnByValue: true };
  const { result, exceptionDetails } = await chrome.call<{
    result: { value: Omit<Seen, 'asked'> };
    exceptionDetails?: unknown;
  }>('Runtime.evaluate', expression, sessionId);
  assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
  return { ...result.value, asked: chrome.asked.filter((url) => url !== `file://${path}`) };
}

/** Eight vCPUs that send to each other, and of 40,000 IPIs one that did not come. */
function storm(events: number, lost: boolean): PreparedRun {
  const scene = new Scene();
  const counts = Array.from({ length: 8 }, (): Record<number, number> => ({}));
  for (let round = 0; scene.events.length < events; round++) {
    const from = round % 8;
    const to = (round * 3 + 1) % 8;
    const vector = lost && round === 15_000 ? 0xe0 : 0x90 + from;
    scene.icr2(from, to).icr(from, 0x4000 + vector, to);
    if (vector !== 0xe0) counts[to]![vector] = (counts[to]![vector] ?? 0) + 1;
    if (round % 7 === 0) scene.word(from, { kind: 'sync', name: `round ${round}` });
  }
  return { events: scene.events, targets: counts.map((count, vcpu) => preparedTarget(vcpu, count)) };
}

describe('in a browser', { skip, timeout: 240_000 }, () => {
  test('what was lost is red, and nothing else is', async () => {
    const lost = await seen(preparedRuns.lost!());
    assert.ok(lost.red > 50);
    assert.deepEqual(lost.asked, [], 'no request leaves the page');
    const { events } = preparedRuns.lost!();
    const came = { events, targets: [preparedTarget(0), preparedTarget(1, { 240: 1 })] };
    assert.equal((await seen(came)).red, 0);
  });

  test('of 100,000 events the one that was lost is seen, and each zoom is drawn', async (t) => {
    const { red, frames, p95 } = await seen(storm(100_000, true));
    t.diagnostic(`p95 of ${frames} frames: ${p95.toFixed(1)} ms`);
    assert.ok(red > 50);
    assert.equal(frames, 120);
    assert.equal((await seen(storm(100_000, false))).red, 0);
  });
});

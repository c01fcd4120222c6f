/** A Chromium without a window, for pages of ours. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** Its name; undefined: there is none here. */
export const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

/** A browser that is told what to do by its pipe. */
export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (message: { result?: unknown; error?: unknown }) => void>();
  readonly asked: string[] = [];
  readonly loaded: Promise<void>;
  #last = 0;

  /** @param profile a folder of its own */
  constructor(profile: string) {
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--window-size=1400,800', '--remote-debugging-pipe'];
    this.#child = spawn(chromium!, [...flags, `--user-data-dir=${profile}`], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
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

interface InBrowser {
  /** What the page has asked for, beside itself. */
  readonly asked: string[];
  /** CPU time of the page's thread while it answered, whatever else the machine did. */
  readonly cpuMs: number;
}

async function scriptSeconds(chrome: Browser, sessionId: string): Promise<number> {
  const { metrics } = await chrome.call<{ metrics: { name: string; value: number }[] }>(
    'Performance.getMetrics',
    {},
    sessionId,
  );
  return metrics.find(({ name }) => name === 'TaskDuration')!.value;
}

/** Loads a page and asks it something. @param folder for the page and the browser's own @param expression of a promise */
export async function inBrowser<T>(
  folder: string,
  html: Iterable<string>,
  expression: string,
  screenshot?: string,
): Promise<T & InBrowser> {
  const path = join(folder, 'page.html');
  writeFileSync(path, [...html].join(''));
  await using chrome = new Browser(folder);
  const { targetId } = await chrome.call<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
  const attach = { targetId, flatten: true };
  const { sessionId } = await chrome.call<{ sessionId: string }>('Target.attachToTarget', attach);
  await chrome.call('Network.enable', {}, sessionId);
  await chrome.call('Page.enable', {}, sessionId);
  await chrome.call('Page.navigate', { url: `file://${path}` }, sessionId);
  await chrome.loaded;
  await chrome.call('Performance.enable', { timeDomain: 'threadTicks' }, sessionId);
  const before = await scriptSeconds(chrome, sessionId);
  const { result, exceptionDetails } = await chrome.call<{ result: { value: T }; exceptionDetails?: unknown }>(
    'Runtime.evaluate',
    { expression, awaitPromise: true, returnByValue: true },
    sessionId,
  );
  assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
  if (screenshot !== undefined) {
    const { data } = await chrome.call<{ data: string }>('Page.captureScreenshot', {}, sessionId);
    writeFileSync(screenshot, data, 'base64');
  }
  const cpuMs = ((await scriptSeconds(chrome, sessionId)) - before) * 1000;
  return { ...result.value, cpuMs, asked: chrome.asked.filter((url) => url !== `file://${path}`) };
}

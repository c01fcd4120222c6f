import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noKvm } from '../support/host.ts';

const script = fileURLToPath(new URL('api.ts', import.meta.url));
/** Nothing was said for so long: the call on the last line hangs. */
const SILENCE = 30_000;

interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  lines: string[];
}

/** Runs the fuzzer in a process of its own, so that a crash or a hang has a name: the last line of its log. */
function fuzz(...args: string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', script, '--log', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    let timer: NodeJS.Timeout | undefined;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => child.kill('SIGKILL'), SILENCE);
    };
    alive();
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (more: string) => {
        text += more;
        alive();
      });
    child.once('error', reject);
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      resolve({ status, signal, lines: text.trimEnd().split('\n') });
    });
  });
}

/** The seed of every run, so that a failure stays one; `FUZZ_SEED` and `FUZZ_COUNT` look further. */
const seeds = process.env.FUZZ_SEED === undefined ? [1, 2, 3] : [Number(process.env.FUZZ_SEED)];
const count = Number(process.env.FUZZ_COUNT ?? 1500);

for (const seed of seeds) {
  test(`random calls, seed ${seed}: each ends in a value or a typed error`, { skip: noKvm }, async () => {
    const { status, signal, lines } = await fuzz('--seed', String(seed), '--count', String(count));
    const found = lines.findIndex((line) => line.startsWith('FINDING'));
    const what = found < 0 ? lines.slice(-5) : lines.slice(found, found + 12);
    const last = lines.findLast((line) => /^ *\d+ /.test(line));
    const told = `seed ${seed}, last call:${last}\n${what.join('\n')}`;
    assert.equal(signal, null, signal === 'SIGKILL' ? `it hangs: ${told}` : `it crashed: ${told}`);
    assert.equal(status, 0, told);
    const [, values, errors] = /(\d+) values, (\d+) errors, 0 findings/.exec(lines.at(-1)!) ?? [];
    assert.ok(Number(values) > count / 4 && Number(errors) > count / 10, `it tests something: ${lines.at(-1)}`);
    // An exit of an own error counts beside the call that it came from.
    assert.ok(Number(values) + Number(errors) >= count, `every call has its end: ${lines.at(-1)}`);
  });
}

test('a seed gives the same calls again, up to the step that is asked for', { skip: noKvm }, async () => {
  const calls = async (...args: string[]) => {
    const { lines } = await fuzz('--seed', '5', ...args);
    return lines.filter((line) => /^ *\d+ /.test(line));
  };
  const all = await calls('--count', '60');
  assert.deepEqual(await calls('--step', '40'), all.slice(0, 41));
});

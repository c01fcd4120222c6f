// The trace file as a process writes it: its memory, its end by SIGKILL, a disk that is full; and `kvm-dsm trace`.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { readTrace } from '../../lib/picture/file/read.ts';
import { TraceReadError } from '../../lib/runner/trace-command.ts';
import { TraceFile, TraceFileError } from '../../lib/runner/trace-file.ts';
import { root } from '../support/command.ts';
import { preparedRuns } from '../support/pictures.ts';
import { allPrepared, asText, traceLines } from '../support/trace-lines.ts';

const folder = mkdtempSync(join(tmpdir(), 'trace-'));
after(() => rmSync(folder, { recursive: true }));
const writer = ['--import', 'tsx', join(root, 'test', 'support', 'trace-writer.ts')];
const MINUTES = 60_000;

async function readAll(path: string): Promise<{ events: number; isCut: boolean }> {
  let events = 0;
  let isCut = false;
  for await (const { type } of readTrace(createReadStream(path))) {
    if (type === 'event') events += 1;
    isCut ||= type === 'cut';
  }
  return { events, isCut };
}

test('a million events take no memory that grows with them', { timeout: 5 * MINUTES }, () => {
  const path = join(folder, 'million');
  const { stdout, stderr, status } = spawnSync(process.execPath, [...writer, path, '1000000'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.ok(Number(stdout) < 100 << 20, `${Number(stdout) >> 20} MiB`);
  assert.ok(statSync(path).size > 200_000_000);
  rmSync(path);
});

test('what SIGKILL leaves is a trace up to its last whole line', { timeout: 2 * MINUTES }, async () => {
  const path = join(folder, 'killed');
  const child = spawn(process.execPath, [...writer, path, '1e12'], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const seen = watch(folder);
  while (!existsSync(path) || statSync(path).size < 1_000_000) await once(seen, 'change');
  seen.close();
  child.kill('SIGKILL');
  assert.equal((await ended)[1], 'SIGKILL');
  const { events, isCut } = await readAll(path);
  assert.ok(isCut);
  assert.ok(events > 1000);
  assert.equal(events, readFileSync(path, 'utf8').split('\n').length - 3);
});

test('a file that cannot be written is an error of its own, when it is opened or at the end', () => {
  const is = (error: unknown) =>
    error instanceof TraceFileError && error.code === 'ERR_TRACE_FILE' && error.exitCode === 3;
  assert.throws(() => new TraceFile(join(folder, 'none', 'file')), is);
  const full = new TraceFile('/dev/full');
  full.write('x');
  assert.throws(() => full.close(), is);
});

describe('kvm-dsm trace', () => {
  const path = join(folder, 'trace');
  writeFileSync(path, asText(traceLines(preparedRuns.lost!())));
  const command = (args: string[], input = '') =>
    spawnSync(process.execPath, [join(root, 'dist', 'cli', 'main.js'), 'trace', ...args], { encoding: 'utf8', input });

  test('as text, as a diagram, from standard input, into a file', () => {
    assert.match(
      command([path]).stdout,
      /^#0 vCPU 1 rip 0x1000 {2}sync "ready"\n#1 vCPU 0 .*\nnot ok: lost\nin text\n$/s,
    );
    const golden = readFileSync(join(root, 'test/unit/picture/golden/lost.txt'), 'utf8');
    assert.equal(command([path, '--to', 'diagram']).stdout, golden);
    assert.equal(command(['-', '--to', 'diagram'], readFileSync(path, 'utf8')).stdout, golden);
    const out = join(folder, 'out.html');
    assert.equal(command([path, '--to', 'html', '-o', out]).status, 0);
    assert.match(readFileSync(out, 'utf8'), /^<!doctype html>/);
    assert.equal(command([path, '--to', 'perfetto', '-o', out]).status, 0);
    assert.equal(readFileSync(out)[0], 10);
  });

  test('several machines, and a file that was cut off', () => {
    assert.match(command(['-', '--to', 'diagram'], asText(allPrepared())).stdout, /^machine 1\n.*\nmachine 10\n/s);
    const { stdout, stderr, status } = command(['-'], readFileSync(path, 'utf8').slice(0, -100));
    assert.equal(status, 0);
    assert.match(stdout, /#3 vCPU 0/);
    assert.match(stderr, /note: the trace ends at line 8, before its run did/);
  });

  test('what it cannot do', () => {
    const no = command([join(folder, 'no')]);
    assert.equal(no.status, 3);
    assert.match(no.stderr, /ERR_TRACE_READ/);
    assert.equal(new TraceReadError('x', new Error('y')).code, 'ERR_TRACE_READ');
    const other = command(['-'], 'hello\n');
    assert.equal(other.status, 1);
    assert.match(other.stderr, /line 1: .*no trace.*\[ERR_TRACE_FORMAT\]/);
    assert.equal(command([path, '--to', 'json']).status, 2);
    assert.equal(command([path, '-o', '/dev/full']).status, 3);
  });
});
